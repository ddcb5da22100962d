use {
	crate::util::{node, unique, until},
	mosaik::Tag,
};

#[tokio::test(flavor = "multi_thread")]
async fn nodes_on_one_host_find_each_other_and_see_changes() {
	let id = unique();
	let (n0, n1) = tokio::join!(node(id), node(id));
	until(&n0, "n0 sees n1", |c| c.get(&n1.local().id()).is_some()).await;
	until(&n1, "n1 sees n0", |c| c.get(&n0.local().id()).is_some()).await;
	n0.discovery().add_tags("gpu");
	until(&n1, "n1 sees the tag", |c| {
		c.get(&n0.local().id())
			.is_some_and(|entry| entry.tags().contains(&Tag::from("gpu")))
	})
	.await;
}
