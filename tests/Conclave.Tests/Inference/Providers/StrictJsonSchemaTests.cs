using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Inference.Providers.OpenAI;

namespace Conclave.Tests.Inference.Providers;

public sealed class StrictJsonSchemaTests
{
    [Theory]
    [InlineData("""{"type":"object","properties":{"a":{"type":"string","minLength":2}},"required":["a"]}""",
        """{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}""")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"}},"required":["a"]}""",
        """{"type":"object","properties":{"a":{"type":"string"},"b":{"type":["integer","null"]}},"required":["a","b"],"additionalProperties":false}""")]
    [InlineData("""{"type":"object","properties":{"a":{"enum":["x","y"]}}}""",
        """{"type":"object","properties":{"a":{"anyOf":[{"enum":["x","y"]},{"type":"null"}]}},"required":["a"],"additionalProperties":false}""")]
    [InlineData("""{"type":"object","properties":{"a":{"$ref":"#/$defs/A"}},"required":["a"],"$defs":{"A":{"type":"object","properties":{"n":{"type":"number"}},"required":["n"]}}}""",
        """{"type":"object","properties":{"a":{"type":"object","properties":{"n":{"type":"number"}},"required":["n"],"additionalProperties":false}},"required":["a"],"additionalProperties":false}""")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"array","items":{"oneOf":[{"type":"string"},{"type":"null"}]}}},"required":["a"]}""",
        """{"type":"object","properties":{"a":{"type":"array","items":{"anyOf":[{"type":"string"},{"type":"null"}]}}},"required":["a"],"additionalProperties":false}""")]
    public void TryConvert_SchemaThatCanBeStrict_Converts(string schema, string expected)
    {
        Assert.True(StrictJsonSchema.TryConvert(JsonElement.Parse(schema), out var strict));
        Assert.Equal(Same.Canonical(JsonElement.Parse(expected)), Same.Canonical(strict));
    }

    [Theory]
    [InlineData("""{"type":"array","items":{"type":"string"}}""")]
    [InlineData("""{"type":"object"}""")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":{"type":"string"}}""")]
    [InlineData("""{"type":"object","properties":{"a":{"$ref":"#"}}}""")]
    [InlineData("""{"type":"object","properties":{"a":{}}}""")]
    [InlineData("""{"type":"object","properties":{"a":{"not":{"type":"string"}}}}""")]
    public void TryConvert_SchemaThatCannotBeStrict_SaysSo(string schema)
    {
        var given = JsonElement.Parse(schema);

        Assert.False(StrictJsonSchema.TryConvert(given, out var strict));
        Assert.Equal(schema, strict.GetRawText());
    }

    [Fact]
    public void TryConvert_SixLevels_AreTooMany()
    {
        static JsonElement Nested(int levels) =>
            JsonElement.Parse(Enumerable.Range(0, levels).Aggregate("""{"type":"string"}""", (inner, _) => $$$"""{"type":"object","properties":{"a":{{{inner}}}}}"""));

        Assert.True(StrictJsonSchema.TryConvert(Nested(StrictJsonSchema.MaxDepth), out _));
        Assert.False(StrictJsonSchema.TryConvert(Nested(StrictJsonSchema.MaxDepth + 1), out _));
    }

    [Fact]
    public void Prune_NullsOfOptionalMembers_AreTakenOut()
    {
        var schema = JsonElement.Parse("""
            {"type":"object","required":["keep","list"],"properties":{"keep":{"type":["string","null"]},"drop":{"type":"string"},"nullable":{"anyOf":[{"type":"string"},{"type":"null"}]},
            "list":{"type":"array","items":{"type":"object","properties":{"x":{"type":"integer"},"y":{"type":"integer"}}}}}}
            """);
        var value = JsonNode.Parse("""{"keep":null,"drop":null,"nullable":null,"list":[{"x":1,"y":null}]}""");

        StrictJsonSchema.Prune(value, schema);

        Assert.Equal("""{"keep":null,"nullable":null,"list":[{"x":1}]}""", value!.ToJsonString());
    }
}
