using System.Text.Json;
using Conclave.Server.Web.Forms;

namespace Conclave.Tests.Server.Web;

public sealed class FormModelTests
{
    private static readonly JsonElement Schema = JsonElement.Parse("""
        { "type": "object", "required": ["amount", "reason"], "properties": {
            "amount": { "type": "number", "title": "Amount", "description": "In EUR." },
            "count": { "type": "integer", "default": 1 },
            "reason": { "enum": ["broken", "late", 3] },
            "note": { "type": "string", "maxLength": 2000 },
            "day": { "type": "string", "format": "date" },
            "urgent": { "type": "boolean" },
            "lines": { "type": "array" } } }
        """);

    [Fact]
    public void Of_Schema_HasAFieldForEachProperty()
    {
        var form = FormModel.Of(Schema, null);

        Assert.Equal(
            ["amount Number*", "count WholeNumber", "reason Choice*", "note LongText", "day Date", "urgent Flag", "lines Json"],
            form.Fields.Select(f => $"{f.Name} {f.Kind}{(f.IsRequired ? "*" : "")}"));
        Assert.Equal(("Amount", "In EUR.", ""), (form.Fields[0].Label, form.Fields[0].Hint, form.Fields[0].Value));
        Assert.Equal("1", form.Fields[1].Value);
    }

    [Fact]
    public void Of_ValuesWithoutASchema_HaveFieldsOfTheirKind()
    {
        var form = FormModel.Of(null, JsonElement.Parse("""{"a":"text","b":1.50,"c":true,"d":{"e":1},"f":null}"""));

        Assert.Equal(["a Text text", "b Number 1.50", "c Flag true", """d Json {"e":1}""", "f Json "], form.Fields.Select(f => $"{f.Name} {f.Kind} {f.Value}"));
    }

    [Fact]
    public void Read_WhatIsFilledIn_IsJsonOfTheRightKinds()
    {
        var form = FormModel.Of(Schema, JsonElement.Parse("""{"amount":120,"extra":"kept"}"""));
        Fill(form, ("amount", "0.10"), ("count", "3"), ("reason", "\"late\""), ("note", "two\nlines"), ("urgent", "true"), ("lines", "[1]"));

        Assert.Equal("""{"amount":0.10,"count":3,"reason":"late","note":"two\nlines","urgent":true,"lines":[1],"extra":"kept"}""", form.Read()!.Value.GetRawText());
    }

    [Fact]
    public void Read_WhatCannotBe_SaysSoAtTheField()
    {
        var form = FormModel.Of(Schema, null);
        Fill(form, ("amount", "much"), ("count", "1.5"), ("lines", "[1"));

        Assert.Null(form.Read());
        Assert.Equal(
            ["amount: This is not a number.", "count: This is not a number.", "reason: This has to be filled in.", "lines: This is not JSON."],
            form.Fields.Where(f => f.Problem is not null).Select(f => $"{f.Name}: {f.Problem}"));
    }

    [Fact]
    public void Read_NumbersThatAreTooLarge_AreRefused()
    {
        var form = FormModel.Of(Schema, null);
        Fill(form, ("amount", "1e40"), ("count", "99999999999999999999"), ("reason", "3"));

        Assert.Null(form.Read());
        Assert.Equal(["amount: This number is too large.", "count: This number is too large."], form.Fields.Where(f => f.Problem is not null).Select(f => $"{f.Name}: {f.Problem}"));
    }

    [Fact]
    public void Read_UnchangedValues_AreTheSameValues()
    {
        const string Values = """{"amount":120,"reason":"broken","note":"x","lines":[{"a":1}],"big":12345678901234567890,"nested":{"b":[true,null]}}""";

        var read = FormModel.Of(Schema, JsonElement.Parse(Values)).Read()!.Value;

        // But for what has a default, and flags, which are one or the other.
        Assert.Equal("""{"amount":120,"count":1,"reason":"broken","note":"x","urgent":false,"lines":[{"a":1}],"big":12345678901234567890,"nested":{"b":[true,null]}}""", read.GetRawText());
    }

    [Fact]
    public void Lines_AreAListOfTexts_AndStayAsTheyAreUntilSomebodyTouchesThem()
    {
        var schema = JsonElement.Parse("""{"properties":{"a":{"type":"array","items":{"type":"string"}},"b":{"type":"array","items":{"type":"string"}},"c":{"type":"array","items":{"type":"string"}},"d":{"type":"array","items":{"type":"string"}}}}""");
        var form = FormModel.Of(schema, JsonElement.Parse("""{"a":["one"," ",""],"b":[],"c":["two\nlines"]}"""));

        Assert.Equal(["a Lines", "b Lines", "c Json", "d Lines"], form.Fields.Select(f => $"{f.Name} {f.Kind}"));
        Assert.Equal("""{"a":["one"," ",""],"b":[],"c":["two\nlines"]}""", form.Read()!.Value.GetRawText());
        Fill(form, ("a", ""), ("b", "x\r\n\ny"));
        Assert.Equal("""{"a":[],"b":["x","y"],"c":["two\nlines"]}""", form.Read()!.Value.GetRawText());
    }

    [Fact]
    public void Examples_AreSuggestions()
    {
        var form = FormModel.Of(JsonElement.Parse("""{"properties":{"model":{"type":"string","examples":["smart",7,"fast"]}}}"""), null);

        Assert.Equal(["smart", "fast"], form.Fields[0].Suggestions);
    }

    [Fact]
    public void Compare_TwoValues_SaysWhatWasChangedAddedAndRemoved()
    {
        var rows = JsonDiff.Compare(
            JsonElement.Parse("""{"to":"ann","lines":[{"price":1},{"price":2}],"gone":true,"empty":[],"one":"1"}"""),
            JsonElement.Parse("""{"to":"ann","lines":[{"price":1},{"price":3}],"new":null,"empty":[],"one":1}"""));

        Assert.Equal(
            ["to ann ann Same", "lines[0].price 1 1 Same", "lines[1].price 2 3 Changed", "new  null Added", "empty [] [] Same", "one 1 1 Changed", "gone true  Removed"],
            rows.Select(r => $"{r.Path} {r.Before} {r.After} {r.Change}"));
    }

    private static void Fill(FormModel form, params (string Name, string Value)[] values)
    {
        foreach (var (name, value) in values)
            form.Fields.Single(f => f.Name == name).Value = value;
    }
}
