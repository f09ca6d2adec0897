using Conclave.Inference;
using Conclave.Inference.Providers;
using Microsoft.Extensions.AI;
using static Conclave.Tests.Inference.Routing.RouterFixture;

namespace Conclave.Tests.Inference.Routing;

public sealed class ModelRouterTests
{
    private static readonly ChatOptions WithTool = new() { Tools = [AIFunctionFactory.CreateDeclaration("look", "Looks.", System.Text.Json.JsonElement.Parse("{}"))] };

    [Theory]
    [InlineData("llama3.2", "0:gpu1/llama3.2:latest", "0:gpu2/llama3.2:latest")]
    [InlineData("llama3.2:latest", "0:gpu1/llama3.2:latest", "0:gpu2/llama3.2:latest")]
    [InlineData("LLAMA3.2", "0:gpu1/llama3.2:latest", "0:gpu2/llama3.2:latest")]
    [InlineData("gpu2/llama3.2", "0:gpu2/llama3.2:latest")]
    [InlineData("GPU2/qwen:7b", "0:gpu2/qwen:7b")]
    [InlineData("meta-llama/Llama-3", "0:gpu1/meta-llama/Llama-3")]
    [InlineData("gpu1/meta-llama/Llama-3", "0:gpu1/meta-llama/Llama-3")]
    public async Task Plan_Name_FindsTheModelWhereItIs(string name, params string[] expected)
    {
        await using var test = await NewAsync(
            House("gpu1", Model("llama3.2:latest"), Model("meta-llama/Llama-3")), House("gpu2", Model("llama3.2:latest"), Model("qwen:7b")));
        Assert.Equal(expected, test.Route(Call(name)));
    }

    [Fact]
    public async Task Plan_UnknownName_SaysThatThereIsNone()
    {
        await using var test = await NewAsync(House("gpu1", Model("a")), House("theirs", Model("secret")) with { Tenant = "other" });
        foreach (var name in (string[])["b", "gpu1/b", "gpu9/a", "secret", "theirs/secret"])
        {
            var exception = Assert.Throws<InferenceException>(() => test.Router.Plan(Call(name)));
            Assert.Equal(("inference.model_not_found", InferenceFailure.ModelNotFound), (exception.Code, exception.Failure));
            Assert.DoesNotContain("left out", exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Plan_SameModelElsewhere_ComesAfterTheHouseHasHadTime()
    {
        await using var test = await NewAsync(Cloud("cloud", 2, "m"), House("gpu1", Model("m")), House("gpu2", Model("m") with { IsLoaded = true }));
        var plan = test.Router.Plan(Call("m"));
        Assert.Equal(["0:gpu2/m", "0:gpu1/m", "1:cloud/m"], Show(plan));
        Assert.Equal([TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(10), null], plan.Candidates.Select(c => c.MaxWait));
        Assert.Contains(plan.Decision.Reasons, r => r.Contains("cloud/m may answer, tier 1: elsewhere, 1 in and 2 out", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("cloud/m")]
    [InlineData("m")]
    [InlineData("local-only")]
    public async Task Plan_LocalOnly_NeverLeavesTheHouse(string name)
    {
        await using var test = await NewAsync(Cloud("cloud", 2, "m"));
        var context = Context with { DataPolicy = DataPolicy.LocalOnly };
        var exception = Assert.Throws<InferenceException>(() => test.Router.Plan(Call(name, context: context)));
        Assert.Equal("inference.not_allowed", exception.Code);
        Assert.Contains("may not leave the house", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Plan_AliasLocalOnly_KeepsEveryCallInTheHouse()
    {
        await using var test = await NewAsync(Cloud("cloud", 2, "m"), House("gpu1", Model("n")));
        Assert.Equal(["0:gpu1/n"], test.Route(Call("local-only")));
    }

    [Fact]
    public async Task Plan_Needs_LeavesOutWhatCannot()
    {
        await using var test = await NewAsync(
            House("gpu1", Model("m")), House("gpu2", Model("m", ModelCapabilities.Tools)), House("gpu3", new ServedModel { Name = "m" }));
        var plan = test.Router.Plan(Call("m", options: WithTool));
        Assert.Equal(["0:gpu2/m", "0:gpu3/m"], Show(plan));
        Assert.Contains(plan.Decision.Reasons, r => r == "gpu1/m was left out: the model cannot do what the call needs (tools).");
        Assert.Equal("inference.model_unfit", Assert.Throws<InferenceException>(() => test.Router.Plan(Call("gpu1/m", options: WithTool))).Code);
    }

    [Fact]
    public async Task Plan_TooLong_SaysWhatTheLargestTakes()
    {
        await using var test = await NewAsync(House("gpu1", Model("m")));
        var exception = Assert.Throws<InferenceException>(() => test.Router.Plan(Call("m", new string('a', 40_000))));
        Assert.Equal(InferenceFailure.ContextTooLong, exception.Failure);
        Assert.Contains("takes 8000", exception.Message, StringComparison.Ordinal);
        Assert.Equal("messages", exception.Parameter);
    }

    [Fact]
    public async Task Plan_Tags_AreRequired()
    {
        await using var test = await NewAsync(House("gpu1", Model("m")) with { Tags = ["eu"] }, House("gpu2", Model("m")));
        Assert.Equal(["0:gpu1/m"], test.Route(Call("m", context: Context with { RequiredTags = ["eu"] })));
        Assert.Equal("inference.not_allowed", Assert.Throws<InferenceException>(() => test.Router.Plan(Call("m", context: Context with { RequiredTags = ["us"] }))).Code);
    }

    [Fact]
    public async Task Plan_ServersAway_SaysWhyAndWhenToTryAgain()
    {
        await using var test = await NewAsync(House("gpu1", Model("m")), House("gpu2", Model("m")));
        await test.Pool.SetModeAsync(test.Pool.FindByName("gpu1")!.Server.Id, ServerMode.Draining, "ann", default);
        var second = test.Pool.FindByName("gpu2")!;
        using (var call = second.TryBegin("m")!)
            call.Fail(new ModelServerException(ModelServerFailure.Overloaded, "later") { RetryAfter = TimeSpan.FromMinutes(1) });

        var exception = Assert.Throws<InferenceException>(() => test.Router.Plan(Call("m")));
        Assert.Equal(InferenceFailure.Unavailable, exception.Failure);
        Assert.NotNull(exception.RetryAfter);
        Assert.Contains("gpu1 is draining", exception.Message, StringComparison.Ordinal);
        Assert.Contains("gpu2 wants no calls of 'm'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Plan_Scripted_IsForWhenThereIsNothingReal()
    {
        await using var test = await NewAsync(House("demo", Model("m")) with { Provider = "scripted", Address = new Uri("file:///answers.yaml") }, House("gpu1", Model("m")));
        Assert.Equal(["0:gpu1/m"], test.Route(Call("m")));
        Assert.Equal(["0:gpu1/m"], test.Route(Call("fast")));
        Assert.Equal(["0:demo/m"], test.Route(Call("demo/m")));
        await test.Pool.SetModeAsync(test.Pool.FindByName("gpu1")!.Server.Id, ServerMode.Maintenance, "ann", default);
        Assert.Equal(["0:demo/m"], test.Route(Call("m")));
    }

    [Fact]
    public async Task Plan_Session_PrefersTheServerWithItsCache()
    {
        await using var test = await NewAsync(House("gpu1", Model("m")), House("gpu2", Model("m")));
        var context = Context with { SessionId = "s1" };
        test.Affinity.Remember(context, "c1", test.Pool.FindByName("gpu2")!.Server.Id, "m");

        Assert.Equal(["0:gpu2/m", "0:gpu1/m"], test.Route(Call("m", context: context)));
        Assert.Equal(["0:gpu2/m", "0:gpu1/m"], test.Route(Call("m", context: Context with { ParentId = "s1" })));
        Assert.Equal(["0:gpu1/m", "0:gpu2/m"], test.Route(Call("m", context: context with { Tenant = "other" })));
    }

    [Fact]
    public async Task Plan_DefaultAliases_AreMadeOfWhatThereIs()
    {
        await using var test = await NewAsync(
            House("gpu1", Model("llama3.2:3b"), Model("qwen2.5:32b"), Model("qwen2.5-coder:7b"), new ServedModel { Name = "nomic-embed-text" }));
        Assert.Equal(["0:gpu1/llama3.2:3b", "0:gpu1/qwen2.5-coder:7b", "1:gpu1/qwen2.5:32b"], test.Route(Call("fast")).Order());
        Assert.Equal("0:gpu1/qwen2.5:32b", test.Route(Call("smart"))[0]);
        Assert.Equal("0:gpu1/qwen2.5-coder:7b", test.Route(Call("code"))[0]);
        Assert.Equal(["0:gpu1/nomic-embed-text"], Show(test.Router.Plan(new EmbedCall(Context, "embed", ["text"]))));
        Assert.Equal(["code", "embed", "fast", "local-only", "smart"], test.Aliases.List("default").Select(a => a.Alias.Name));
        Assert.Equal("inference.model_unfit", Assert.Throws<InferenceException>(() => test.Router.Plan(Call("nomic-embed-text"))).Code);
    }
}
