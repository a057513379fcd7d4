"""Landmarks: a family and a seed give a building's shape, colors and name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from landmarkzoo.rendered import (
    assemblies,
    figures,
    interiors,
    modern,
    monuments,
    sanctuaries,
    streets,
    towers,
    wild_places,
)
from landmarkzoo.rendered.facades import Color
from landmarkzoo.rendered.finishes import BARE, IRON, OLD, PAINTED, PLAIN, WALLS, Choice
from landmarkzoo.rendered.palettes import METALS, PLASTERS, STONES, Palette, draw_palette
from landmarkzoo.rendered.solids import Solid


@dataclass(frozen=True)
class Family:
    """A kind of building: how to build one, of what, what its names begin with, what covers its walls."""

    build: Callable[[np.random.Generator, Palette], list[Solid]]
    walls: tuple[Color, ...]
    titles: tuple[str, ...]
    finishes: Choice = field(default_factory=lambda: WALLS)
    wet: bool = False  # stands in water
    inside: bool = False  # is looked into through its open front


#: The families by name.
FAMILIES: dict[str, Family] = {
    "cathedral": Family(sanctuaries.cathedral, STONES, ("Cathedral", "Minster", "Basilica")),
    "mosque": Family(sanctuaries.mosque, STONES + PLASTERS, ("Mosque", "Great Dome")),
    "castle": Family(monuments.castle, STONES, ("Castle", "Fortress", "Citadel")),
    "temple": Family(sanctuaries.temple, STONES, ("Temple", "Sanctuary", "Parthenon")),
    "skyscraper": Family(monuments.skyscraper, METALS + STONES[:3], ("Spire", "Tower", "Heights")),
    "triumphal_arch": Family(monuments.triumphal_arch, STONES, ("Arch", "Triumphal Arch")),
    "pagoda": Family(sanctuaries.pagoda, PLASTERS + STONES[5:6], ("Pagoda", "Stupa")),
    "victory_column": Family(monuments.victory_column, STONES, ("Column", "Obelisk", "Monument")),
    "palace": Family(monuments.palace, PLASTERS + STONES, ("Palace", "Residence", "Parliament")),
    "lighthouse": Family(towers.lighthouse, PLASTERS + STONES[:4], ("Lighthouse", "Beacon")),
    "stepped_pyramid": Family(sanctuaries.stepped_pyramid, STONES, ("Pyramid", "Ziggurat")),
    "city_gate": Family(towers.city_gate, STONES, ("Gate", "Old Gate")),
    "clock_tower": Family(towers.clock_tower, STONES + PLASTERS, ("Clock Tower", "Belfry")),
    "onion_church": Family(sanctuaries.onion_church, PLASTERS + STONES[5:6], ("Church", "Chapel")),
    "aqueduct": Family(towers.aqueduct, STONES, ("Aqueduct", "Viaduct")),
    "tower_bridge": Family(towers.tower_bridge, STONES, ("Bridge", "Old Bridge"), wet=True),
    "mausoleum": Family(assemblies.assembly, STONES, ("Mausoleum", "Tomb", "Memorial")),
    "monastery": Family(assemblies.assembly, STONES + PLASTERS, ("Monastery", "Hall", "Shrine")),
    "gopuram": Family(assemblies.gopuram, STONES + PLASTERS[:3], ("Gopuram", "Great Temple")),
    "stupa": Family(assemblies.stupa, STONES + PLASTERS[:2], ("Great Stupa", "Relic Mound")),
    "statue": Family(figures.statue, STONES, ("Statue", "Colossus"), finishes=PLAIN),
    "fountain": Family(figures.fountain, STONES, ("Fountain",)),
    "ruin": Family(wild_places.ruin, STONES, ("Ruins", "Forum"), finishes=OLD),
    "stone_circle": Family(wild_places.stone_circle, STONES, ("Stones",), finishes=BARE),
    "rock": Family(wild_places.rock, STONES, ("Rock", "Cliffs"), finishes=BARE),
    "rock_temple": Family(wild_places.rock_temple, STONES, ("Caves", "Rock Temple"), finishes=BARE),
    "modern_building": Family(modern.modern_building, METALS + STONES[:4], ("Museum", "Opera")),
    "stadium": Family(modern.stadium, STONES + METALS[5:], ("Arena", "Amphitheatre")),
    "lattice_tower": Family(modern.lattice_tower, METALS + STONES[5:6], ("Iron Tower",), finishes=IRON),
    "street_front": Family(streets.street_front, STONES + PLASTERS, ("House", "Palace of Winds")),
    "old_street": Family(streets.old_street, PLASTERS, ("Old Town", "Market Street")),
    "painted_wall": Family(streets.painted_wall, PLASTERS, ("Wall", "Gallery"), finishes=PAINTED),
    "hall": Family(interiors.hall, STONES + PLASTERS, ("Hall", "Nave"), inside=True),
    "cloister": Family(interiors.cloister, STONES + PLASTERS, ("Cloister", "Court"), inside=True),
    "theatre": Family(interiors.theatre, STONES, ("Theatre", "Odeon"), finishes=OLD, inside=True),
    "wooden_gate": Family(streets.wooden_gate, PLASTERS + STONES, ("Great Gate",)),
}

_ONSETS = ("", "b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "br", "th", "st")
_VOWELS = ("a", "e", "i", "o", "u", "ia", "ae")
_ENDINGS = ("na", "ra", "dor", "vik", "lis", "mar", "ston", "go", "ren", "th", "nova", "ca", "l")


def _place_name(rng: np.random.Generator) -> str:
    """Return an invented name of a town or a person."""
    syllables = [str(rng.choice(_ONSETS) + rng.choice(_VOWELS)) for _ in range(rng.integers(1, 3))]
    return ("".join(syllables) + str(rng.choice(_ENDINGS))).capitalize()


def draw_names(seed: Sequence[int], families: Sequence[str]) -> list[str]:
    """Draw a name for each of the buildings, no two the same.

    Args:
        seed: non-negative integers.
        families: keys of `FAMILIES`, one for each building.
    """
    rng = np.random.default_rng(seed)
    names: list[str] = []
    places: set[str] = set()
    for family in families:
        titles = FAMILIES[family].titles
        place = _place_name(rng)
        while place in places or len(place) < 4:
            place = _place_name(rng)
        places.add(place)
        names.append(f"{titles[rng.integers(len(titles))]} of {place}")
    return names


def make_building(family: str, seed: Sequence[int]) -> list[Solid]:
    """Build a landmark, its front facing -y; the same family and seed give the same building.

    Args:
        family: a key of `FAMILIES`.
        seed: non-negative integers.

    Raises:
        ValueError: If the family is unknown.
    """
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {sorted(FAMILIES)}, got {family!r}")
    rng = np.random.default_rng(seed)
    plan = FAMILIES[family]
    return plan.build(rng, draw_palette(rng, plan.walls))
