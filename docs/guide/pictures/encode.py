"""Writes beside each picture of this folder the address that contains it (`slope.svg.uri`), for the pages in `cargo doc`.

The pictures are made by the pages' own programs; CONTRIBUTING.md has the commands.
"""

import base64
import pathlib
import re

for picture in sorted(pathlib.Path(__file__).parent.iterdir()):
    if picture.suffix == ".svg":
        text = re.sub(r"\s*\n\s*", " ", picture.read_text().strip()).replace('"', "'")
        address = "data:image/svg+xml," + re.sub("[%<>#]", lambda m: f"%{ord(m[0]):02X}", text)
    elif picture.suffix == ".png":
        address = "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
    else:
        continue
    picture.with_name(picture.name + ".uri").write_text(address)
