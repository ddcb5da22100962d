#!/usr/bin/env python3
"""Keeps docs/api/<crate>.txt, the list of all that the libraries make public.

The lint `unreachable_pub` sees to it that what is marked `pub` can be reached, so
the sources tell: this lists their public items without bodies and comments.
Fails where a list is out of date; `--bless` writes it anew, and its diff is the
review of the API.
"""

import pathlib
import re
import sys

CRATES = ("mosaik", "mosaik-proto")
OPEN, CLOSE = "([{", ")]}"
# Comments, strings, characters (not lifetimes).
IGNORED = re.compile(
    r'//[^\n]*|/\*.*?\*/|b?"(?:\\.|[^"\\])*"|r#"(?:.|\n)*?"#|b?\'(?:\\.[^\']*|[^\'\\])\'',
    re.S,
)


def closing(text, start):
    """The place after the bracket that closes the one at `start`."""
    depth = 0
    for place in range(start, len(text)):
        if text[place] in OPEN:
            depth += 1
        elif text[place] in CLOSE:
            depth -= 1
            if depth == 0:
                return place + 1
    return len(text)


def items(text):
    """The items of a module or block: attributes, header, body."""
    place = 0
    while place < len(text):
        attributes, header, body = [], place, None
        while match := re.match(r"\s*#!?(?=\[)", text[place:]):
            end = closing(text, place + match.end())
            attributes.append(text[place:end].strip())
            place = header = end
        while place < len(text) and text[place] != ";":
            if text[place] == "{" and not re.match(r"\s*(pub\S*\s+)?use\s", text[header:place]):
                end = closing(text, place)
                body = text[place + 1 : end - 1]
                break
            place = closing(text, place) if text[place] in OPEN else place + 1
        yield attributes, text[header:place].strip(), body
        place = end if body is not None else place + 1


def parts(text):
    """What commas separate, outside of brackets."""
    depth, start = 0, 0
    for place, char in enumerate(text):
        depth += (char in OPEN + "<") - (char in CLOSE + ">" and text[place - 1 : place + 1] not in ("->", "=>"))
        if char == "," and depth == 0:
            yield text[start:place]
            start = place + 1
    yield text[start:]


def tidy(text):
    text = re.sub(r"#\[[^\]]*\]", "", text)
    text = re.sub(r"\s+", " ", text)
    return re.sub(r"(?<=[(\[{<]) | (?=[)\]>,])|,(?= ?[)\]}>])", "", text).strip()


def fields(header):
    """A tuple struct without what is private."""
    match = re.search(r"\(", header)
    if not match or " where " in header[: match.start()]:
        return header
    end = closing(header, match.start())
    shown = [tidy(part) for part in parts(header[match.end() : end - 1]) if part.strip()]
    shown = [part if part.startswith("pub ") else "_" for part in shown]
    return header[: match.end()] + ", ".join(shown) + header[end - 1 :]


def listing(text, prefix, public):
    for attributes, header, body in items(text):
        if any("cfg(test)" in attribute or "doc(hidden)" in attribute for attribute in attributes):
            continue
        kept = [tidy_attribute(a) for a in attributes if re.match(r"#\[(derive|non_exhaustive)", a)]
        start = " ".join([prefix, *kept])
        if re.match(r"[\w:]+!", header):
            # What a macro makes public is in its text.
            exported = any("macro_export" in attribute for attribute in attributes)
            if exported or "pub" in header + (body or "") or "macro_rules" not in header:
                yield f"{prefix} {tidy(header)} {tidy(body or '')}".rstrip()
        elif header.startswith("impl"):
            owner = re.sub(r"^impl(<.*?>)? (?=\w)", "", tidy(header))
            name = re.match(r"\w+", owner.split(" for ")[-1])
            if " for " in owner:
                if name and name[0] in public:
                    yield f"{prefix} {tidy(header)}"
            elif name and name[0] in public:
                for line in listing(body, f"{prefix} {tidy(header)} ::", public):
                    yield line
        elif re.match(r"pub\s", header):
            kind = re.sub(r"^pub (const (?=fn|unsafe)|async |unsafe )*", "", tidy(header)).split(" ")[0]
            if kind == "mod" and body is not None:
                yield from listing(body, f"{prefix}::{tidy(header).split(' ')[-1]}", public)
            elif kind == "struct":
                inner = [tidy(part) for part in parts(body or "") if re.match(r"\s*(#\[.*\]\s*)*pub\s", part)]
                yield f"{start} {fields(tidy(header))}" + (" { " + ", ".join(inner) + " }" if inner else "")
            elif kind in ("enum", "union"):
                yield f"{start} {tidy(header)} {{ {tidy(body)} }}"
            elif kind == "trait":
                yield f"{start} {tidy(header)}"
                for _, inner, default in items(body):
                    if inner:
                        yield f"{prefix} {tidy(header).split('<')[0].split(':')[0]} :: {tidy(inner)}" + (
                            " { … }" if default is not None else ""
                        )
            elif kind in ("const", "static"):
                yield f"{start} {tidy(header).split(' = ')[0]}"
            else:
                yield f"{start} {tidy(header)}"


def tidy_attribute(attribute):
    return re.sub(r"\( | (?=\))|,(?= ?\))", lambda m: "(" if m[0] == "( " else "", re.sub(r"\s+", " ", attribute))


def surface(crate):
    root = pathlib.Path("crates") / crate / "src"
    sources = {}
    for path in sorted(root.rglob("*.rs")):
        if path.name != "tests.rs":
            sources[path] = IGNORED.sub(lambda m: '""' if m[0][0] in '"br' else "", path.read_text())
    named = r"pub\s+(?:struct|enum|trait|type)\s+(\w+)"
    public = {name for text in sources.values() for name in re.findall(named, text)}
    lines = set()
    for path, text in sources.items():
        module = [*path.relative_to(root).with_suffix("").parts]
        module = [part for part in module if part not in ("lib", "mod")]
        lines.update(listing(text, "::".join([crate.replace("-", "_"), *module]), public))
    return "\n".join(sorted(lines)) + "\n"


def main():
    stale = False
    for crate in CRATES:
        path = pathlib.Path("docs/api") / f"{crate}.txt"
        found = surface(crate)
        if "--bless" in sys.argv:
            path.parent.mkdir(exist_ok=True)
            path.write_text(found)
        elif not path.exists() or path.read_text() != found:
            stale = True
            kept = set(path.read_text().splitlines()) if path.exists() else set()
            new = set(found.splitlines())
            print("\n".join([f"- {line}" for line in sorted(kept - new)]))
            print("\n".join([f"+ {line}" for line in sorted(new - kept)]))
            print(f"{path}: the public API has changed; `scripts/api.py --bless` and review the diff")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
