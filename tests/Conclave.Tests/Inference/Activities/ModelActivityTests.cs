using Conclave.Inference;
using Conclave.Inference.Activities;
using Conclave.Inference.Providers;
using Conclave.Tests.Expressions.Scripting;
using Conclave.Tests.Inference.Gateway;
using Conclave.Tests.Runtime;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime;

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

    private Task<TestRuntime> HostAsync(TestGateway gateway, IInference inference) => TestRuntime.StartAsync(
        gateway.Database, new RuntimeOptions { PollInterval = TimeSpan.FromMilliseconds(100), Lease = TimeSpan.FromSeconds(2), DrainTimeout = TimeSpan.FromSeconds(1) },
        expressions: ExpressionSyntaxes.BuiltIn.With(new JavaScriptSyntax(scripts.Pool)), catalog: InferenceActivities.Catalog, services: new Services(inference));

    private static string Workflow(string type, string inputs, string model = "m") => $$"""
        { "definitionId": "ask",
          "root": { "id": "ask1", "type": "Conclave.{{type}}", "version": 1, "model": { "typeName": "String", "expression": { "type": "Literal", "value": "{{model}}" } }, {{inputs}} },
          "variables": [ { "id": "answer", "name": "Answer", "typeName": "Object" }, { "id": "cost", "name": "Cost", "typeName": "Object" }, { "id": "server", "name": "Server", "typeName": "String" } ] }
        """;

    private static object? Value(WorkflowInstance instance, string variable) => instance.GetVariable(instance.Graph.Root.FindVariable(variable)!);

    private sealed class Services(IInference inference) : IServiceProvider
    {
        public object? GetService(Type serviceType) => serviceType == typeof(IInference) ? inference : null;
    }
}
