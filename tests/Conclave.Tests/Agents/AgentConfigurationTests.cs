using System.Text.Json;
using Conclave.Agents;

namespace Conclave.Tests.Agents;

public sealed class AgentConfigurationTests
{
    private static readonly AgentConfiguration Basis = new()
    {
        SystemPrompt = "Be brief.",
        Tools = ["a", "b"],
        Permissions = new Dictionary<string, ToolMode> { ["a"] = ToolMode.Allow, ["b"] = ToolMode.Deny },
        Limits = new AgentLimits { MaxSteps = 5, MaxRepeats = 7 },
        Budget = new AgentBudget { Tokens = 10 },
    };

    [Fact]
    public void Merge_SomeMembers_KeepsTheOthers()
    {
        var merged = AgentConfigurations.Merge(Basis, JsonElement.Parse("""{"model":"code","limits":{"maxSteps":9},"tools":["c"],"permissions":{"c":"ask"},"budget":null,"temperature":null}"""));
        Assert.Equal(("code", "Be brief.", 9, 7), (merged.Model, merged.SystemPrompt, merged.Limits.MaxSteps, merged.Limits.MaxRepeats));
        Assert.Equal(["c"], merged.Tools);
        Assert.Equal(ToolMode.Ask, Assert.Single(merged.Permissions).Value);
        Assert.Null(merged.Budget);
    }

    [Fact]
    public void Merge_NoTemperature_IsTheModelsOwnAndStaysSo()
    {
        var merged = AgentConfigurations.Merge(Basis, JsonElement.Parse("""{"temperature":null}"""));
        Assert.Null(merged.Temperature);
        Assert.Null(AgentConfigurations.Merge(new AgentConfiguration(), AgentConfigurations.Write(merged)).Temperature);
        Assert.Equal(0.7, AgentConfigurations.Merge(Basis, JsonElement.Parse("{}")).Temperature);
    }

    [Fact]
    public void Merge_NothingSaid_HasEveryDefault()
    {
        var merged = AgentConfigurations.Merge(new AgentConfiguration(), JsonElement.Parse("{}"));
        Assert.Equal(JsonSerializer.Serialize(new AgentConfiguration()), JsonSerializer.Serialize(merged));
        Assert.Empty(AgentConfigurationCheck.Check(merged));
    }

    [Theory]
    [InlineData("""{"modle":"x"}""")]
    [InlineData("""{"limits":{"maxStep":3}}""")]
    [InlineData("""{"tools":"git"}""")]
    [InlineData("""{"permissions":{"a":"maybe"}}""")]
    [InlineData("[]")]
    public void Merge_UnknownOrWrongMembers_IsRefused(string json) => Assert.Throws<JsonException>(() => AgentConfigurations.Merge(Basis, JsonElement.Parse(json)));

    [Theory]
    [InlineData("""{"contextSize":10}""", "contextSize")]
    [InlineData("""{"temperature":3}""", "temperature")]
    [InlineData("""{"model":""}""", "model")]
    [InlineData("""{"behaviour":""}""", "behaviour")]
    [InlineData("""{"tools":["a","a"]}""", "tools")]
    [InlineData("""{"limits":{"maxSteps":0}}""", "limits.maxSteps")]
    [InlineData("""{"limits":{"maxTurnCost":0}}""", "limits.maxTurnCost")]
    [InlineData("""{"health":{"maxConsecutiveFailures":0}}""", "health.maxConsecutiveFailures")]
    [InlineData("""{"budget":{"period":"week","money":1}}""", "budget.period")]
    [InlineData("""{"budget":{"money":-1}}""", "budget.money")]
    [InlineData("""{"memoryPolicy":"all"}""", "memoryPolicy")]
    public void Check_OutOfBounds_NamesTheMember(string json, string member) =>
        Assert.Contains(member, AgentConfigurationCheck.Check(AgentConfigurations.Merge(new AgentConfiguration(), JsonElement.Parse(json))).Keys);

    [Fact]
    public void Lifecycle_Working_IsNowhereToGo()
    {
        Assert.Empty(AgentLifecycle.From(AgentState.Working));
        Assert.All(Enum.GetValues<AgentState>(), state => Assert.Equal(state, AgentLifecycle.Find(AgentLifecycle.Name(state))));
        // From wherever it is, somebody can bring it back.
        Assert.All([AgentState.Paused, AgentState.Error, AgentState.Maintenance], state => Assert.Contains(state, AgentLifecycle.From(AgentState.Active)));
    }
}
