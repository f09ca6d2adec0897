using Conclave.Inference;
using Conclave.Inference.Activities;
using Conclave.Inference.Providers;
using Conclave.Inference.Streaming;
using Conclave.Tests.Expressions.Scripting;
using Conclave.Tests.Inference.Gateway;
using Conclave.Tests.Runtime;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging.Abstractions;
using Channel = System.Threading.Channels.Channel;

namespace Conclave.Tests.Inference.Activities;

[Collection(ScriptTests.Name)]
public sealed class ModelActivityTests(ScriptPool scripts)
{
    [Fact]
    public async Task Chat_Answers_OutputsTextUsageCostAndWhoAnswered()
    {
        await using var gateway = await StartAsync();
        await using var host = await HostAsync(gateway, gateway.Gateway);
        await host.PublishAsync(Workflow("Chat", """
            "prompt": { "typeName": "String", "expression": { "type": "Literal", "value": "Say hello" } },
            "result": { "typeName": "Object", "memoryReference": { "id": "answer" } },
            "cost": { "typeName": "Decimal", "memoryReference": { "id": "cost" } },
            "usedServer": { "typeName": "String", "memoryReference": { "id": "server" } }
            """));

        var id = await host.EnqueueAsync("ask");
        await host.WaitAsync(id, WorkflowSubStatus.Finished);

        var instance = await host.ReadAsync(id);
        Assert.Equal("Hello from a", Value(instance, "answer"));
        Assert.Equal("a", Value(instance, "server"));
        Assert.Equal(0.000016m, Convert.ToDecimal(Value(instance, "cost"), System.Globalization.CultureInfo.InvariantCulture));
        await gateway.Log.FlushAsync(default);
        Assert.Equal(id, await gateway.Database.QueryAsync<string>("select instance_id from conclave.inference_call"));
    }

    [Fact]
    public async Task Chat_ProcessDiesBetweenAnswerAndCommit_ModelIsAskedOnce()
    {
        await using var gateway = await StartAsync();
        var engine = new WorkflowEngine(
            catalog: InferenceActivities.Catalog, expressions: ExpressionSyntaxes.BuiltIn.With(new JavaScriptSyntax(scripts.Pool)), services: new Services(gateway.Gateway));
        var graph = engine.Compile(WorkflowDefinitionReader.Read(System.Text.Encoding.UTF8.GetBytes(Workflow("Chat", """
            "prompt": { "typeName": "String", "expression": { "type": "Literal", "value": "Say hello" } },
            "result": { "typeName": "Object", "memoryReference": { "id": "answer" } }
            """))));

        // What the first one did is lost before it is stored, so the second begins where the first did.
        foreach (var _ in (int[])[1, 2])
        {
            var instance = engine.CreateInstance(graph, new WorkflowStart { InstanceId = "i1" });
            await engine.RunAsync(instance, new WorkflowHost(), default);
            Assert.Equal("Hello from a", Value(instance, "answer"));
        }

        Assert.Single(gateway.Models["a"].Requests);
        await gateway.Log.FlushAsync(default);
        Assert.Equal(1, await gateway.Database.QueryAsync<long>("select count(*) from conclave.inference_call where cache = 0"));
        Assert.Equal(1, await gateway.Database.QueryAsync<long>("select count(*) from conclave.inference_call where cache = 2"));
    }

    [Fact]
    public async Task Classify_Text_OutputsOneOfTheLabels()
    {
        await using var gateway = await StartAsync();
        gateway.Models["a"].Answer = (_, token) => FakeServer.Say(["""{"label":"invoice","confidence":0.9}"""], token);
        await using var host = await HostAsync(gateway, gateway.Gateway);
        await host.PublishAsync(Workflow("Classify", """
            "text": { "typeName": "String", "expression": { "type": "Literal", "value": "Please pay 12 EUR" } },
            "labels": { "typeName": "String[]", "expression": { "type": "Object", "value": "[\"invoice\", \"order\"]" } },
            "result": { "typeName": "String", "memoryReference": { "id": "answer" } }
            """));

        var id = await host.EnqueueAsync("ask");
        await host.WaitAsync(id, WorkflowSubStatus.Finished);

        Assert.Equal("invoice", Value(await host.ReadAsync(id), "answer"));
    }

    [Fact]
    public async Task Extract_AnswerDoesNotFitAtFirst_OutputsDataAndSaysThatItWasRepaired()
    {
        await using var gateway = await StartAsync();
        gateway.Models["a"].Answer = (request, token) => FakeServer.Say([request.Messages.Count == 2 ? """{"amount":"twelve"}""" : """{"amount":12}"""], token);
        await using var host = await HostAsync(gateway, gateway.Gateway);
        await host.PublishAsync(Workflow("Extract", """
            "text": { "typeName": "String", "expression": { "type": "Literal", "value": "Please pay 12 EUR" } },
            "schema": { "typeName": "Object", "expression": { "type": "Object", "value": "{\"type\":\"object\",\"properties\":{\"amount\":{\"type\":\"number\"}},\"required\":[\"amount\"]}" } },
            "result": { "typeName": "Object", "memoryReference": { "id": "answer" } },
            "validation": { "typeName": "Object", "memoryReference": { "id": "cost" } }
            """));

        var id = await host.EnqueueAsync("ask");
        await host.WaitAsync(id, WorkflowSubStatus.Finished);

        var instance = await host.ReadAsync(id);
        Assert.Equal("""{"amount":12}""", ValueConverter.ToJson(Value(instance, "answer")).GetRawText());
        var validation = ValueConverter.ToJson(Value(instance, "cost"));
        Assert.True(validation.GetProperty("valid").GetBoolean());
        Assert.True(validation.GetProperty("wasRepaired").GetBoolean());
        Assert.Contains("Please pay", gateway.Models["a"].Requests.First().Messages[1].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Embed_Texts_OutputsVectors()
    {
        await using var gateway = await StartAsync();
        await using var host = await HostAsync(gateway, gateway.Gateway);
        await host.PublishAsync(Workflow("Embed", """
            "texts": { "typeName": "Object", "expression": { "type": "Object", "value": "[\"one\", \"three\"]" } },
            "result": { "typeName": "Object", "memoryReference": { "id": "answer" } }
            """, model: "e"));

        var id = await host.EnqueueAsync("ask");
        await host.WaitAsync(id, WorkflowSubStatus.Finished);

        Assert.Equal("[[3,1],[5,1]]", ValueConverter.ToJson(Value(await host.ReadAsync(id), "answer")).GetRawText());
    }

    [Fact]
    public async Task Chat_EveryServerFails_FaultsWithTheCode()
    {
        await using var gateway = await StartAsync();
        gateway.Models["a"].Answer = (_, _) => FakeServer.SayThenFail([], ModelServerFailure.ServerError);
        await using var host = await HostAsync(gateway, gateway.Gateway);
        await host.PublishAsync(Workflow("Chat", """ "prompt": { "typeName": "String", "expression": { "type": "Literal", "value": "Say hello" } } """));

        var id = await host.EnqueueAsync("ask");
        await host.WaitAsync(id, WorkflowSubStatus.Faulted);

        Assert.Contains("a failed", Assert.Single((await host.ReadAsync(id)).Incidents).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Chat_Channel_ListenersHearTheAnswerAsItComes()
    {
        await using var gateway = await StartAsync();
        await using var streams = new TokenStreams(gateway.Database.DataSource, TimeProvider.System, NullLogger<TokenStreams>.Instance);
        var pieces = Channel.CreateUnbounded<string>();
        gateway.Models["a"].Answer = (_, token) => FakeServer.SayFrom(pieces.Reader, token);
        await using var host = await HostAsync(gateway, gateway.Gateway, streams);
        await host.PublishAsync(Workflow("Chat", """
            "prompt": { "typeName": "String", "expression": { "type": "Literal", "value": "Say hello" } },
            "channel": { "typeName": "String", "expression": { "type": "Literal", "value": "hello" } },
            "result": { "typeName": "Object", "memoryReference": { "id": "answer" } }
            """));
        using var listening = await streams.SubscribeAsync(TestRuntime.Tenant, "hello", default);
        var heard = listening.ReadAsync(default).GetAsyncEnumerator();

        var id = await host.EnqueueAsync("ask");
        Assert.Equal(TokenPieceKind.Begin, await NextAsync());
        pieces.Writer.TryWrite("Hel");
        Assert.Equal((TokenPieceKind.Text, "Hel"), (await NextAsync(), heard.Current.Text));
        pieces.Writer.TryWrite("lo");
        Assert.Equal((TokenPieceKind.Text, "lo"), (await NextAsync(), heard.Current.Text));
        pieces.Writer.Complete();
        Assert.Equal(TokenPieceKind.End, await NextAsync());
        await host.WaitAsync(id, WorkflowSubStatus.Finished);

        Assert.Equal("Hello", Value(await host.ReadAsync(id), "answer"));

        async Task<TokenPieceKind> NextAsync()
        {
            Assert.True(await heard.MoveNextAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30)));
            return heard.Current.Kind;
        }
    }

    [Fact]
    public async Task ModelActivity_Derived_SaysInWhoseNameItAsksAndHearsUpdates()
    {
        await using var gateway = await StartAsync();
        await using var host = await HostAsync(gateway, gateway.Gateway);
        await host.PublishAsync(Workflow("AskAsAgent", """ "result": { "typeName": "Object", "memoryReference": { "id": "answer" } } """));

        var id = await host.EnqueueAsync("ask");
        await host.WaitAsync(id, WorkflowSubStatus.Finished);

        Assert.Equal("Hello |from |a", Value(await host.ReadAsync(id), "answer"));
        await gateway.Log.FlushAsync(default);
        Assert.Equal("agent1 session1 parent1", await gateway.Database.QueryAsync<string>("select agent_id || ' ' || session_id || ' ' || parent_id from conclave.inference_call"));
    }

    private static async Task<TestGateway> StartAsync()
    {
        var gateway = await TestGateway.StartAsync();
        gateway.Models["a"].Models =
        [
            new ServedModel { Name = "m", Capabilities = ModelCapabilities.Chat | ModelCapabilities.JsonSchema, ContextSize = 100_000, InputPrice = 1m, OutputPrice = 2m },
            new ServedModel { Name = "e", Capabilities = ModelCapabilities.Embeddings, ContextSize = 8_000 },
        ];
        await gateway.AddAsync("a");
        return gateway;
    }

    private Task<TestRuntime> HostAsync(TestGateway gateway, IInference inference, TokenStreams? streams = null) => TestRuntime.StartAsync(
        gateway.Database, new RuntimeOptions { PollInterval = TimeSpan.FromMilliseconds(100), Lease = TimeSpan.FromSeconds(2), DrainTimeout = TimeSpan.FromSeconds(1) },
        expressions: ExpressionSyntaxes.BuiltIn.With(new JavaScriptSyntax(scripts.Pool)), catalog: InferenceActivities.Catalog.With(ActivityType.From<AskAsAgent>()), services: new Services(inference, streams));

    private static string Workflow(string type, string inputs, string model = "m") => $$"""
        { "definitionId": "ask",
          "root": { "id": "ask1", "type": "Conclave.{{type}}", "version": 1, "model": { "typeName": "String", "expression": { "type": "Literal", "value": "{{model}}" } }, {{inputs}} },
          "variables": [ { "id": "answer", "name": "Answer", "typeName": "Object" }, { "id": "cost", "name": "Cost", "typeName": "Object" }, { "id": "server", "name": "Server", "typeName": "String" } ] }
        """;

    private static object? Value(WorkflowInstance instance, string variable) => instance.GetVariable(instance.Graph.Root.FindVariable(variable)!);

    private sealed class Services(IInference inference, TokenStreams? streams = null) : IServiceProvider
    {
        public object? GetService(Type serviceType) => serviceType == typeof(IInference) ? inference : serviceType == typeof(TokenStreams) ? streams : null;
    }
}

/// <summary>An activity of another assembly that asks in an agent's name.</summary>
[Activity("Conclave", "AI", "Asks in an agent's name.", Kind = ActivityKind.Task, HasEffect = true)]
public sealed class AskAsAgent : ModelActivity
{
    /// <summary>What was heard, piece by piece.</summary>
    [Output(Description = "What was heard.")]
    public Output<object>? Result { get; set; }

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var pieces = new List<string>();
        var report = new CallReport();
        var response = await AskAsync(
            context, [new ChatMessage(ChatRole.User, "Say hello")], new ChatOptions(), update => pieces.AddRange(update.Contents.OfType<TextContent>().Select(t => t.Text)), report);
        Assert.Equal(string.Concat(pieces), response.Text);
        Assert.Equal(CallPhase.Completed, report.Phase);
        context.Set(Result, string.Join('|', pieces));
        context.Complete();
    }

    private protected override async ValueTask<CallContext> ContextOfAsync(ActivityContext context) =>
        await base.ContextOfAsync(context) with { AgentId = "agent1", SessionId = "session1", ParentId = "parent1" };
}
