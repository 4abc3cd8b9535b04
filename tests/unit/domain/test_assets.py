"""When a condition over assets is met, and which assets it names."""

from hypothesis import given
from hypothesis import strategies as st

from crosswind_server.domain.assets import AllAssets, AnyAsset, AssetRef, Condition, OneAsset, assets_of, is_met

NAMES = "abcde"
ONE = st.sampled_from(NAMES).map(lambda name: OneAsset(AssetRef(name)))
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    ONE,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda each: AllAssets(tuple(each))),
        st.lists(inner, min_size=1, max_size=3).map(lambda each: AnyAsset(tuple(each))),
    ),
    max_leaves=8,
)
SEEN = st.frozensets(st.sampled_from(NAMES))


def names_of(condition: Condition) -> set[str]:
    return {each.name for each in assets_of(condition)}


@given(CONDITIONS, SEEN, SEEN)
def test_more_events_never_undo_a_condition(condition: Condition, seen: frozenset[str], more: frozenset[str]):
    assert not is_met(condition, seen) or is_met(condition, seen | more)


@given(CONDITIONS, SEEN)
def test_only_what_a_condition_names_counts(condition: Condition, seen: frozenset[str]):
    assert is_met(condition, seen) == is_met(condition, seen & names_of(condition))


@given(CONDITIONS)
def test_all_that_it_names_meets_a_condition_and_nothing_does_not(condition: Condition):
    assert is_met(condition, names_of(condition))
    assert not is_met(condition, ())


@given(st.lists(CONDITIONS, min_size=1, max_size=4), SEEN)
def test_all_and_any(parts: list[Condition], seen: frozenset[str]):
    met = [is_met(each, seen) for each in parts]
    assert is_met(AllAssets(tuple(parts)), seen) == all(met)
    assert is_met(AnyAsset(tuple(parts)), seen) == any(met)


def test_assets_are_named_in_their_order_and_as_often_as_they_stand_there():
    a, b, alias = AssetRef("a", "s3://a"), AssetRef("b"), AssetRef("c", alias=True)
    condition = AllAssets((OneAsset(b), AnyAsset((OneAsset(a), OneAsset(alias))), OneAsset(b)))
    assert list(assets_of(condition)) == [b, a, alias, b]
