from nightreel.content.item_text import item_text


def test_fields_come_in_order_and_lists_are_joined() -> None:
    row = {
        "transcript": "hello there", "title": " Alien  (1979) ", "tags": ["space", None, " "], "creators": ["R. Scott"],
        "genres": ["Horror", "Sci-Fi"], "description": "In space\nno one hears.", "duration_s": 7020.0, "item_id": "1",
    }  # fmt: skip
    assert item_text(row) == "Alien (1979)\nHorror, Sci-Fi\nspace\nR. Scott\nIn space no one hears.\nhello there"


def test_missing_and_empty_fields_leave_no_trace() -> None:
    assert item_text({"title": "Alien", "genres": None, "tags": [], "description": ""}) == "Alien"
    assert item_text({"title": "Alien"}) == "Alien"
    assert item_text({"title": " ", "genres": None}) == ""


def test_texts_that_look_the_same_are_the_same() -> None:
    assert item_text({"title": "Ame\u0301lie"}) == item_text({"title": "Am\u00e9lie "})
