import pytest

from emotiw.data_prep.class_list import own_classes
from emotiw.data_prep.emotions import EMOTIONS, emotion_named
from emotiw.data_prep.label_order import ORDERS, LabelOrder, label_order, number_in
from emotiw.errors import EmotiwError, UsageError

# By two letters, as the data sets' own pages list them; `--` is not one of the seven.
WRITTEN = {
    "emotiw": "0 An 1 Di 2 Fe 3 Ha 4 Ne 5 Sa 6 Su",
    "fer2013": "0 An 1 Di 2 Fe 3 Ha 4 Sa 5 Su 6 Ne",
    "raf-db": "1 Su 2 Fe 3 Di 4 Ha 5 Sa 6 An 7 Ne",
    "affectnet": "0 Ne 1 Ha 2 Sa 3 Su 4 Fe 5 Di 6 An 7 -- 8 -- 9 -- 10 --",
    "ferplus": "0 Ne 1 Ha 2 Su 3 Sa 4 An 5 Di 6 Fe 7 -- 8 -- 9 --",
    "ck+": "1 An 2 -- 3 Di 4 Fe 5 Ha 6 Sa 7 Su",
}


def emotion(order: LabelOrder, number: int) -> str | None:
    return emotion_named(order.class_of(number))


def test_every_order_is_that_of_its_data_set():
    shown = {
        name: " ".join(f"{number} {(emotion(order, number) or '--')[:2]}" for number in order.numbers)
        for name, order in ORDERS.items()
    }
    assert shown == WRITTEN


@pytest.mark.parametrize("name", WRITTEN)
def test_every_order_has_each_emotion_once_and_names_its_source(name):
    order = ORDERS[name]
    named = [each for number in order.numbers if (each := emotion(order, number))]
    assert sorted(named) == sorted({*EMOTIONS} - ({"Neutral"} if name == "ck+" else set()))
    assert (order.name, bool(order.source)) == (name, True)
    assert label_order(f" {name.upper()} ") is order


@pytest.mark.parametrize("name", WRITTEN)
def test_a_number_that_has_no_class_is_refused(name):
    order = ORDERS[name]
    for number in (order.first - 1, order.first + len(order.names), 10**5000):
        with pytest.raises(EmotiwError, match=f"is not in the order {name[:2]}") as caught:
            emotion(order, number)
        assert "\n" not in str(caught.value)


def test_a_class_other_than_the_seven_keeps_its_name():
    assert (emotion(ORDERS["ck+"], 2), ORDERS["ck+"].class_of(2)) == (None, "Contempt")


def test_a_list_of_names_is_an_order_from_0_on():
    order = label_order("neutral, Joy,contempt,suprise")
    assert order == LabelOrder(
        "neutral, Joy,contempt,suprise", ("Neutral", "Happy", "contempt", "Surprise"), 0, "the command line"
    )
    assert [emotion(order, number) for number in range(4)] == ["Neutral", "Happy", None, "Surprise"]
    assert str(order) == "0 Neutral, 1 Happy, 2 contempt, 3 Surprise"


def test_a_list_may_name_other_classes():
    order = label_order("good,Happy,bad", own_classes(["positive: good", "bad"]))
    assert order.names == ("positive", "Happy", "bad")
    with pytest.raises(UsageError, match="is not a list of classes"):
        label_order("happy,sad", own_classes(["positive: good", "bad"]))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("casia", "is not one of emotiw, fer2013, raf-db, affectnet, ferplus, ck+: give one of these, or the names"),
        ("", "is not one of emotiw"),
        ("happy", "is not one of emotiw"),
        ("happy,joy", "names 'Happy' twice"),
        ("happy,other,Other", "names 'other' twice"),
        ("happy,,sad", "is not a list of classes"),
        ("a,b,c", "is not a list of classes"),
        ("1,2", "is not a list of classes"),
    ],
)
def test_an_invalid_order_is_refused_in_one_line(text, said):
    with pytest.raises(UsageError) as caught:
        label_order(text)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"--order {text!r} ")


def test_labels_that_are_whole_numbers():
    labels = ("0", "7", "07", " 3 ", "3.0", "3.000000", "999999999")
    assert [number_in(label) for label in labels] == [0, 7, 7, 3, 3, 3, 999_999_999]
    others = ("", ".", ".0", "3.", "3.5", "-1", "+1", "1e3", "three", "3.0.0", "3\u0663", "\u00b2", "9" * 5000, "1 2")
    assert [number_in(label) for label in others] == [None] * len(others)
