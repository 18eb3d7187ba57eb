"""The patient of each slide of a file or folder, and which slides did not match the slide map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hcat_builtin.readers.slide_map import read_slide_map, slide_name
from hcat_core.errors import DataError
from hcat_core.text.counted import counted
from hcat_core.text.quoting import one_line

Unmapped = Literal["refuse", "skip"]
MOST_NAMED = 5


@dataclass(frozen=True)
class SlidePatients:
    """The patient of each slide; without a map, a slide's name is its patient.

    Attributes:
        source: the file or folder of the slides, for messages.
        slide_map: the map's path, or None.
        patients: patient by slide, of the slides that are read, in their order; slides are called as the
            file or folder calls them.
        left_out: slides that the map does not name, and that are therefore not read.
        mapped: patient by slide of the whole map; empty without one.
        found: slides of the map that the file or folder has, called as in the map.
    """

    source: str
    slide_map: Path | None
    patients: Mapping[str, str]
    left_out: tuple[str, ...] = ()
    mapped: Mapping[str, str] | None = None
    found: frozenset[str] = frozenset()

    def findings(self, empty: Sequence[str] = ()) -> tuple[str, ...]:
        """What a user should know, one sentence each.

        Args:
            empty: slides without any patch, called as in ``patients``.

        Raises:
            DataError: if every slide is empty.
        """
        if empty and len(empty) == len(self.patients):
            raise DataError(
                f"{self.source}: none of its {counted(len(empty), 'slide')} holds a patch. Encode them "
                "again."
            )
        if self.mapped is None or self.slide_map is None:
            # Without a map a slide's name is its patient, and findings name no patients.
            text = f"{self.source}: {len(empty)} of {len(self.patients)} files or groups hold no patch."
            return (text,) if empty else ()
        texts = []
        if self.left_out:
            texts.append(
                f"{self.source}: {len(self.left_out)} of {len(self.left_out) + len(self.patients)} slides "
                f"are left out: {self.slide_map.name} does not name them ({named(self.left_out)})."
            )
        missing = [slide for slide in self.mapped if slide not in self.found]
        if missing or empty:
            texts.append(self._fewer(missing, empty))
        return tuple(texts)

    def _fewer(self, missing: Sequence[str], empty: Sequence[str]) -> str:
        """How many slides have no rows, and how many patients rest on fewer slides than the map names."""
        assert self.mapped is not None and self.slide_map is not None
        parts = []
        if missing:
            parts.append(
                f"{len(missing)} of the {len(self.mapped)} slides of {self.slide_map.name} have no file or "
                f"entry here ({named(missing)})"
            )
        if empty:
            names = [slide_name(slide) for slide in empty]
            parts.append(f"{counted(len(empty), 'slide holds', 'slides hold')} no patch ({named(names)})")
        fewer = Counter(self.mapped[slide] for slide in missing)
        fewer.update(self.patients[slide] for slide in empty)
        named_slides = Counter(self.mapped.values())
        none = sum(named_slides[patient] == count for patient, count in fewer.items())
        rest = f"{counted(len(fewer), 'patient rests', 'patients rest')} on fewer slides than the map names"
        on_none = f", {none} of them on none" if none else ""
        return f"{self.source}: {', '.join(parts)}: {rest}{on_none}."


def match_slides(
    slides: Sequence[str], source: str, slide_map: Path | None, unmapped: Unmapped
) -> SlidePatients:
    """Find the patient of each slide.

    Args:
        slides: names of files, groups, datasets or keys; a known file ending does not belong to the name.
        source: the file or folder, for messages.
        slide_map: a CSV file (see ``read_slide_map``), or None: a slide's name is its patient.
        unmapped: whether slides that the map does not name are refused or left out.

    Raises:
        DataError: for two names of one slide; for slides that the map does not name, all at once, unless
            they are left out and others remain.
    """
    names = {slide: slide_name(slide) for slide in slides}
    _refuse_twins(names, source)
    if slide_map is None:
        return SlidePatients(source, None, names)
    mapped = read_slide_map(slide_map)
    unknown = [slide for slide, name in names.items() if name not in mapped]
    if unknown and (unmapped == "refuse" or len(unknown) == len(names)):
        raise _not_mapped(unknown, names, source, slide_map, mapped)
    return SlidePatients(
        source=source,
        slide_map=slide_map,
        patients={slide: mapped[name] for slide, name in names.items() if name in mapped},
        left_out=tuple(unknown),
        mapped=mapped,
        found=frozenset(names.values()).intersection(mapped),
    )


def named(slides: Sequence[str]) -> str:
    """Some slides by name, the first ones and the last."""
    texts = [one_line(slide, 80) for slide in slides]
    if len(texts) <= MOST_NAMED:
        return ", ".join(texts)
    return f"{', '.join(texts[: MOST_NAMED - 2])}, ... to {texts[-1]}"


def _refuse_twins(names: Mapping[str, str], source: str) -> None:
    """Refuse two files of one slide, such as ``x.h5`` and ``x.hdf5``: which of them counts is not known."""
    counts = Counter(names.values())
    twins = sorted(slide for slide, name in names.items() if counts[name] > 1)
    if twins:
        raise DataError(
            f"{source}: {len(twins)} names are those of only {len({names[t] for t in twins})} slides "
            f"({named(twins)}). Keep one of each."
        )


def _not_mapped(
    unknown: Sequence[str],
    names: Mapping[str, str],
    source: str,
    slide_map: Path,
    mapped: Mapping[str, str],
) -> DataError:
    what, way_out = (
        (f"names none of the {len(names)}", "Is it the map of these slides?")
        if len(unknown) == len(names)
        else (
            f"lacks {len(unknown)} of the {len(names)}",
            'Add lines for them, remove them, or leave them out: unmapped = "skip".',
        )
    )
    hint = _hint([names[slide] for slide in unknown], mapped)
    return DataError(f"{slide_map}: {what} slides of {source} ({named(unknown)}).{hint or ' ' + way_out}")


def _hint(unknown: Sequence[str], mapped: Mapping[str, str]) -> str:
    """How the map may spell slides that it seems to lack, with a leading blank; "" if nothing is like."""
    folded = {slide.casefold(): slide for slide in mapped}
    longer = {slide.partition(".")[0]: slide for slide in mapped}
    for how, spelling in (
        ("in other upper and lower case", lambda name: folded.get(name.casefold())),
        ("with another ending", longer.get),
        ("without its ending", _shorter_name(mapped)),
    ):
        alike = {name: there for name in unknown if (there := spelling(name)) is not None}
        if alike:
            name, there = next(iter(alike.items()))
            example = f"{one_line(name, 80)} here, {one_line(there, 80)} there"
            return f" {len(alike)} of them are in the map {how} ({example}): write them alike."
    patients = len(set(mapped.values()).intersection(unknown))
    if patients:
        return f" {patients} of them are patients of the map, not slides: leave slide_map out."
    return ""


def _shorter_name(mapped: Mapping[str, str]) -> Callable[[str], str | None]:
    """A lookup of names that go on after the map's name with a point or an underscore."""

    def spelling(name: str) -> str | None:
        shorter = (name.partition(".")[0], name.rpartition("_")[0], name.rpartition(".")[0])
        return next((one for one in shorter if one in mapped), None)

    return spelling
