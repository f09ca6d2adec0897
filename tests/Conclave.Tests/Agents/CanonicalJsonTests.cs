using System.Text.Json;
using Conclave.Agents.Actions;

namespace Conclave.Tests.Agents;

/// <summary>RFC 8785: equal values have one form, others another.</summary>
public sealed class CanonicalJsonTests
{
    [Theory]
    // The RFC's own example of members, appendix and section 3.2.2 and 3.2.3.
    [InlineData("""{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}""",
        "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}")]
    [InlineData("""{"peach":"This sorting order","péché":"is wrong according to French","pêche":"but canonicalization MUST","sin":"ignore locale"}""",
        """{"peach":"This sorting order","péché":"is wrong according to French","pêche":"but canonicalization MUST","sin":"ignore locale"}""")]
    [InlineData("""{"b":1,"a":{"d":[],"c":{}}}""", """{"a":{"c":{},"d":[]},"b":1}""")]
    [InlineData(""" [ 1 , 2.0 , "x" ] """, """[1,2,"x"]""")]
    public void Write_AnyForm_GivesTheOne(string json, string expected) => Assert.Equal(expected, CanonicalJson.Text(JsonElement.Parse(json)));

    [Theory]
    [InlineData("0", "0")]
    [InlineData("-0.0", "0")]
    [InlineData("100", "100")]
    [InlineData("1e21", "1e+21")]
    [InlineData("123456789012345680000", "123456789012345680000")]
    [InlineData("0.000001", "0.000001")]
    [InlineData("1e-7", "1e-7")]
    [InlineData("1.50", "1.5")]
    [InlineData("5e-324", "5e-324")]
    [InlineData("1.7976931348623157e308", "1.7976931348623157e+308")]
    [InlineData("9007199254740993", "9007199254740992")]
    [InlineData("-12.25", "-12.25")]
    public void Write_Number_IsECMAScripts(string number, string expected) => Assert.Equal(expected, CanonicalJson.Text(JsonElement.Parse(number)));

    [Fact]
    public void Write_NumberBeyondDoubles_IsRefused() => Assert.Throws<JsonException>(() => CanonicalJson.Text(JsonElement.Parse("1e400")));

    [Fact]
    public void Action_AnyPart_ChangesTheHash()
    {
        var action = new ProposedAction("t", "a", "refund", "h1", JsonElement.Parse("""{"amount":50,"order":"7"}"""));
        var same = new ProposedAction("t", "a", "refund", "h1", JsonElement.Parse("""{ "order": "7", "amount": 50.0 }"""));
        Assert.Equal(action.Hash, same.Hash);
        ProposedAction[] others =
        [
            action with { Tenant = "u" }, action with { AgentId = "b" }, action with { Tool = "pay" }, action with { ToolHash = "h2" },
            action.With(JsonElement.Parse("""{"amount":50.01,"order":"7"}""")), action.With(JsonElement.Parse("""{"amount":"50","order":"7"}""")), action.With(default),
        ];
        Assert.Equal(others.Length + 1, others.Append(action).Select(a => a.Hash).Distinct().Count());
        Assert.Equal(action.Hash, ProposedAction.Read(action.ToJson()).Hash);
    }
}
