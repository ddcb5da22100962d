//! One way to declare a configuration: a struct, its defaults, its builder.

/// The configuration was refused: the message says which field and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigBuilderError(pub(crate) String);

impl From<String> for ConfigBuilderError {
	fn from(message: String) -> Self {
		Self(message)
	}
}

/// Declares `Config` and `ConfigBuilder`, with a setter where one is named.
macro_rules! config {
	(
		$(#[$meta:meta])*
		pub struct Config {
			$($(#[$field_meta:meta])* $field:ident $(/ $setter:ident)?: $type:ty = $default:expr,)*
		}
		validate($config:ident) $validate:block
	) => {
		$(#[$meta])*
		#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
		#[serde(default)]
		pub struct Config {
			$($(#[$field_meta])* pub $field: $type,)*
		}

		impl Default for Config {
			fn default() -> Self {
				Self { $($field: $default,)* }
			}
		}

		impl Config {
			/// A builder that starts from the defaults.
			pub fn builder() -> ConfigBuilder {
				ConfigBuilder::default()
			}
		}

		/// Builds a [`Config`] from its defaults.
		#[derive(Debug, Clone, PartialEq, Default)]
		pub struct ConfigBuilder {
			config: Config,
		}

		impl ConfigBuilder {
			$($(
				#[doc = concat!("Sets [`Config::", stringify!($field), "`].")]
				#[must_use]
				pub fn $setter(mut self, value: impl Into<$type>) -> Self {
					self.config.$field = value.into();
					self
				}
			)?)*

			/// The configuration.
			///
			/// # Errors
			/// When a field is out of the range its documentation gives.
			pub fn build(
				self,
			) -> Result<Config, $crate::runtime::config::ConfigBuilderError> {
				let $config = &self.config;
				let checked: Result<(), String> = $validate;
				checked?;
				Ok(self.config)
			}
		}
	};
}

pub(crate) use config;
