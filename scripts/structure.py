#!/usr/bin/env python3
"""Checks the direction of dependencies between the modules of each crate.

ARCHITECTURE.md says who may know whom. This reads the `use crate::` lines of
the sources and fails where one points the wrong way.
"""

import pathlib
import re
import sys

# module -> the modules of the same crate that it may use.
ALLOWED = {
    "mosaik-proto": {
        "core": set(),
        "id": set(),
        "wire": {"id"},
        "tickets": {"id", "wire", "discovery"},
        "discovery": {"core", "id", "wire", "tickets"},
        "streams": {"core", "id", "wire", "tickets", "discovery"},
        "groups": {"core", "id", "wire", "tickets", "discovery"},
    },
    "mosaik": {
        "runtime": set(),
        "network": {"runtime", "discovery", "streams"},
        "discovery": {"runtime", "network"},
        "streams": {"runtime", "network", "discovery"},
    },
}

# Within `network`, only these put the subsystems together.
ASSEMBLY = {"network/builder.rs", "network/node.rs"}


def imports(text):
    """The modules named after `crate::`, with nested braces flattened one level."""
    text = re.sub(r"//[^\n]*", "", text)
    for match in re.finditer(r"\bcrate::(\w+)", text):
        yield match.group(1)
    for match in re.finditer(r"\bcrate::\{", text):
        depth, start, i = 1, match.end(), match.end()
        while depth and i < len(text):
            char = text[i]
            if char == "{":
                depth += 1
            elif char == "}":
                depth -= 1
            if depth == 1 and char == "," or depth == 0:
                name = re.match(r"\s*(\w+)", text[start:i])
                if name:
                    yield name.group(1)
                start = i + 1
            i += 1


def main():
    wrong = []
    for crate, allowed in ALLOWED.items():
        root = pathlib.Path("crates") / crate / "src"
        for path in sorted(root.rglob("*.rs")):
            relative = path.relative_to(root).as_posix()
            module = relative.split("/")[0].removesuffix(".rs")
            if module not in allowed:
                continue
            for name in imports(path.read_text()):
                if name not in allowed or name == module or name in allowed[module]:
                    if module == "network" and name in ("discovery", "streams"):
                        if relative not in ASSEMBLY:
                            wrong.append(f"{path}: only the assembly may use crate::{name}")
                    continue
                wrong.append(f"{path}: {module} may not use crate::{name}")
        if crate == "mosaik-proto":
            manifest = (root.parent / "Cargo.toml").read_text()
            for banned in ("tokio", "iroh.workspace", "futures"):
                if re.search(rf"^{re.escape(banned)}\b", manifest, re.M):
                    wrong.append(f"mosaik-proto must not depend on {banned}")
    print("\n".join(wrong) or "structure: every dependency points the right way")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
