"""The report of an audit: what it holds for programs, what it prints, which promises broke."""

from tfquantseg.analysis.audit_report import Audit, Operand, Product, problems


def _product(product: str, bits: tuple[int, int], promised: tuple[int, int] = (8, 8)) -> Product:
    first = Operand(bits[0], -128, 127, zeros=0.25, clipped=0.01)
    second = Operand(bits[1], 0, 255, zeros=0.5, clipped=0, unsigned=True)
    return Product("conv", product, "Conv2D", ("A", "W"), (first, second), promised)


HONEST = _product("forward", (8, 8))
BROKEN = _product("weight_gradient", (32, 8))


def test_a_promise_is_kept_by_operands_of_fewer_bits() -> None:
    assert HONEST.kept and _product("forward", (6, 4)).kept
    assert not BROKEN.kept
    assert _product("forward", (32, 8), (32, 8)).kept  # float32, and nothing else was promised


def test_each_broken_promise_has_a_sentence() -> None:
    expected = [("conv", "forward"), ("conv", "weight_gradient"), ("other", "forward")]
    assert problems([HONEST, BROKEN], expected) == (
        "conv, weight_gradient: 32 x u8 bits, promised 8 x 8.",
        "other, forward: no such kernel ran.",
    )
    assert problems([HONEST], expected[:1]) == ()


def test_json_numbers_the_kernels_of_one_product() -> None:
    report = Audit((HONEST, HONEST, BROKEN), ("one",), {}).to_json()
    assert (report["ok"], report["problems"], report["operands"]) == (False, ["one"], 6)
    assert report["share_of_operands_within_8_bits"] == 5 / 6
    (entry,) = report["convolutions"]
    assert list(entry) == ["name", "forward", "forward_2", "weight_gradient"]
    assert entry["weight_gradient"]["bits"] == [32, 8]
    assert entry["forward"]["operands"][1] == {
        "letter": "W",
        "bits": 8,
        "least": 0,
        "most": 255,
        "zeros": 0.5,
        "clipped": 0,
        "unsigned": True,
    }


def test_an_audit_of_nothing_is_ok_and_says_so_in_numbers() -> None:
    audit = Audit((), (), {})
    assert audit.ok and audit.to_json()["share_of_operands_within_8_bits"] == 0


def test_the_table_has_a_line_a_product_in_even_columns() -> None:
    head, first, second, *legend = str(Audit((HONEST, BROKEN), (), {})).splitlines()
    cells = " ".join(first.split())
    assert cells == "conv forward A x W 8 x u8 -128..127 0..255 25% 50% 1.00% 0.00%"
    assert len(head) == len(first) == len(second)
    assert second.index("A x W") == first.index("A x W") == head.index("operands")
    assert any(line.startswith("Bits: ") for line in legend)
