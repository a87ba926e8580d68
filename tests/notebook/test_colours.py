"""One colour per bond class, wherever it is drawn."""

from matplotlib.colors import rgb_to_hsv, to_rgb

from e3d.notebook import colours


def test_the_elements_give_the_hue_and_the_order_the_lightness() -> None:
    single, double, triple = (to_rgb(colours.of_class(f"C{order}N")) for order in "-=#")
    assert sum(single) > sum(double) > sum(triple)
    hues = [rgb_to_hsv(colour)[0] for colour in (single, double, triple)]
    assert max(hues) - min(hues) < 0.02
    assert colours.of_class("C-H") != colours.of_class("C-C")


def test_what_is_no_bond_class_takes_its_place_in_the_palette() -> None:
    assert colours.of_class("trained") is None
    assert colours.of("trained", 12) == "C2"
    assert colours.of("C-H", 3) == colours.of("C-H", 5) == colours.of_class("C-H")
