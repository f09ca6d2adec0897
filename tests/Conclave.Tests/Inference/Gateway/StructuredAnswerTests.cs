using System.Text.Json;
using Conclave.Inference;
using Conclave.Inference.StructuredOutput;
using Conclave.Tests.Expressions.Scripting;
using Microsoft.Extensions.AI;

namespace Conclave.Tests.Inference.Gateway;

[Collection(ScriptTests.Name)]
public sealed class StructuredAnswerTests(ScriptPool scripts)
{
    private static readonly JsonElement Schema = JsonElement.Parse("""{"type":"object","properties":{"age":{"type":"integer"}},"required":["age"],"additionalProperties":false}""");

    [Fact]
    public async Task Ask_ModelDecodesUnderSchemas_SchemaIsSentAsItIs()
    {
        await using var gateway = await WithAsync(ModelCapabilities.Chat | ModelCapabilities.JsonSchema);
        gateway.Models["a"].Answer = (_, token) => FakeServer.Say(["{\"age\":", "7}"], token);

        var answer = await AskAsync(gateway);

        Assert.Equal(7, answer.Value.GetProperty("age").GetInt32());
        Assert.False(answer.WasRepaired);
        Assert.IsType<ChatResponseFormatJson>(Assert.Single(gateway.Models["a"].Requests).Options.ResponseFormat);
    }

    [Fact]
    public async Task Ask_ModelOnlyHasTools_AnswerIsTheArgumentsOfOne()
    {
        await using var gateway = await WithAsync(ModelCapabilities.Chat | ModelCapabilities.Tools);
        gateway.Models["a"].Answer = (_, _) => Call();

        var answer = await AskAsync(gateway);

        Assert.Equal(7, answer.Value.GetProperty("age").GetInt32());
        Assert.Equal(ChatFinishReason.Stop, answer.Response.FinishReason);
        var request = Assert.Single(gateway.Models["a"].Requests);
        Assert.Null(request.Options.ResponseFormat);
        Assert.Equal("answer", Assert.Single(request.Options.Tools!).Name);

        static async IAsyncEnumerable<ChatResponseUpdate> Call()
        {
            await Task.Yield();
            yield return FakeServer.Piece("Here it is.");
            yield return new ChatResponseUpdate(ChatRole.Assistant, [new FunctionCallContent("c", "answer", new Dictionary<string, object?> { ["age"] = JsonElement.Parse("7") })]);
            yield return FakeServer.End(1, 1, ChatFinishReason.ToolCalls);
        }
    }

    [Theory]
    [InlineData("{\"age\":7}")]
    [InlineData("```json\n{\"age\":7}\n```")]
    [InlineData("Of course! {\"age\":7} Anything else?")]
    public async Task Ask_ModelIsOnlyTold_JsonIsFoundInWhatItSays(string said)
    {
        await using var gateway = await WithAsync(ModelCapabilities.Chat);
        gateway.Models["a"].Answer = (_, token) => FakeServer.Say([said[..3], said[3..]], token);

        var answer = await AskAsync(gateway);

        Assert.Equal(7, answer.Value.GetProperty("age").GetInt32());
        Assert.Contains("JSON Schema", Assert.Single(gateway.Models["a"].Requests).Messages[0].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ask_AnswerDoesNotFit_IsRepairedOnceWithWhatIsWrong()
    {
        await using var gateway = await WithAsync(ModelCapabilities.Chat | ModelCapabilities.JsonSchema);
        gateway.Models["a"].Answer = (request, token) => FakeServer.Say([request.Messages.Count == 1 ? "{\"age\":\"seven\"}" : "{\"age\":7}"], token);
        var report = new CallReport();

        var answer = await AskAsync(gateway, report);

        Assert.True(answer.WasRepaired);
        Assert.Equal(7, answer.Value.GetProperty("age").GetInt32());
        Assert.Contains("/age", gateway.Models["a"].Requests.Last().Messages[^1].Text, StringComparison.Ordinal);
        Assert.Equal(2, report.OutputTokens);
    }

    [Fact]
    public async Task Ask_AnswerNeverFits_FailsWithWhatIsWrong()
    {
        await using var gateway = await WithAsync(ModelCapabilities.Chat);
        gateway.Models["a"].Answer = (_, token) => FakeServer.Say(["no"], token);

        var failure = await Assert.ThrowsAsync<InferenceException>(() => AskAsync(gateway));

        Assert.Equal((InferenceFailure.SchemaMismatch, "inference.schema_mismatch"), (failure.Failure, failure.Code));
        Assert.Equal(2, gateway.Models["a"].Requests.Count);
    }

    private static async Task<TestGateway> WithAsync(ModelCapabilities capabilities)
    {
        var gateway = await TestGateway.StartAsync();
        gateway.Models["a"].Models = [new ServedModel { Name = "m", Capabilities = capabilities, ContextSize = 10_000 }];
        await gateway.AddAsync("a");
        return gateway;
    }

    private Task<StructuredAnswer> AskAsync(TestGateway gateway, CallReport? report = null) =>
        new StructuredAnswers(gateway.Gateway, scripts.Pool).AskAsync(TestGateway.Call(), Schema, report ?? new CallReport(), default);
}
