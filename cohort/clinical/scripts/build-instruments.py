#!/usr/bin/env python3
"""Build the shipped Questionnaires from their published sources.

Usage: build-instruments.py SOURCE_FOLDER

SOURCE_FOLDER holds phq9.lforms.fhir.json, phq8.radar.json and
gad7.radar.json. Every word a patient reads is copied from these files by this
script; none is typed here. The output goes to ../instruments/ beside this
script. Running it twice gives the same bytes.
"""
import json
import pathlib
import re
import sys

ORDINAL = "http://hl7.org/fhir/StructureDefinition/ordinalValue"
SCORING = "urn:cohort:scoring"
OWNER_TERMS = "No permission required to reproduce, translate, display or distribute."
LOINC_TERMS = " Codes and answer codes are from LOINC (https://loinc.org), used under its licence."


def questionnaire(name, title, copyright_line, code, items, scored, total):
    """The frame that all shipped instruments share."""
    result = {
        "resourceType": "Questionnaire",
        "url": f"urn:cohort:questionnaire:{name}",
        "version": "1.0.0",
        "name": name.upper(),
        "title": title,
        "status": "active",
        "language": "en",
        "subjectType": ["Patient"],
        "copyright": copyright_line,
        "extension": [
            {
                "url": SCORING,
                "extension": [{"url": "algorithm", "valueString": f"{name}/1"}]
                + [{"url": "item", "valueString": link_id} for link_id in scored]
                + [{"url": "total", "valueString": total}],
            }
        ],
        "item": items,
    }
    if code:
        result["code"] = code
    return result


def stem(text):
    """The sentence above the questions, with the recall period."""
    return {"linkId": "stem", "type": "display", "text": text.strip()}


def option(coding, score):
    result = {"valueCoding": coding}
    if score is not None:
        result["extension"] = [{"url": ORDINAL, "valueDecimal": score}]
    return result


def ordinal(answer_option):
    for extension in answer_option.get("extension", []):
        if extension["url"] == ORDINAL:
            return extension["valueDecimal"]
    return None


def from_lforms(source, stem_text):
    """PHQ-9: the LOINC panel, with its link ids; the total becomes a read-only integer."""
    items, scored, total = [stem(stem_text)], [], None
    for number, given in enumerate(source["item"], start=1):
        item = {
            "linkId": given["linkId"],
            "code": given["code"],
            "text": given["text"],
            "type": "choice",
            "required": given["required"],
        }
        if "answerOption" in given:
            options = given["answerOption"]
            item["answerOption"] = [option(o["valueCoding"], ordinal(o)) for o in options]
            if all(ordinal(o) is not None for o in options):
                item["prefix"] = f"{number}."
                scored.append(given["linkId"])
        else:
            item |= {"type": "integer", "readOnly": True}
            total = given["linkId"]
        items.append(item)
    return questionnaire(
        "phq9", source["title"], OWNER_TERMS + LOINC_TERMS, source["code"], items, scored, total
    )


def from_radar(name, title, source):
    """PHQ-8 and GAD-7: the answer codes of the source are the scores."""
    items, scored = [stem(source[0]["section_header"])], []
    for given in source:
        # The source numbers some labels by hand ("1. Little interest ...").
        number, text = re.fullmatch(r"(?:(\d+)\.\s+)?(.*)", given["field_label"].strip()).groups()
        number = number or given["field_name"].rsplit("_", 1)[1]
        items.append(
            {
                "linkId": given["field_name"],
                "prefix": f"{number}.",
                "text": text,
                "type": "choice",
                "required": True,
                "answerOption": [
                    option(
                        {
                            "system": f"urn:cohort:answers:{name}",
                            "code": choice["code"],
                            "display": choice["label"].strip(),
                        },
                        int(choice["code"]),
                    )
                    for choice in given["select_choices_or_calculations"]
                ],
            }
        )
        scored.append(given["field_name"])
    total = f"{name}_total"
    items.append({"linkId": total, "text": "Total score", "type": "integer", "readOnly": True})
    return questionnaire(name, title, OWNER_TERMS, None, items, scored, total)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: build-instruments.py SOURCE_FOLDER")
    folder = pathlib.Path(sys.argv[1])

    def read(name):
        return json.loads((folder / name).read_text(encoding="utf-8"))

    gad7 = read("gad7.radar.json")
    built = {
        # The panel's file has no stem; both instruments are printed under the same one.
        "phq9": from_lforms(read("phq9.lforms.fhir.json"), gad7[0]["section_header"]),
        "phq8": from_radar("phq8", "PHQ-8", read("phq8.radar.json")),
        "gad7": from_radar("gad7", "GAD-7", gad7),
    }
    target = pathlib.Path(__file__).resolve().parent.parent / "instruments"
    for name, content in built.items():
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (target / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
