using System.Buffers;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Expressions.Scripting;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conclave.Benchmarks.Engine;

/// <summary>What the engine costs in memory, without a database. Everything but the scripts runs on one thread.</summary>
internal static class EngineBenchmarks
{
    private static readonly WorkflowHost Host = new();

    public static async Task RunAsync(Report report, string[] only)
    {
        var engine = new WorkflowEngine(
            new WorkflowEngineOptions { MaxActivitiesPerBurst = 100_000_000 },
            ActivityCatalog.BuiltIn.With(ActivityType.From<NoOp>()),
            ExpressionSyntaxes.BuiltIn.With(new NativeSyntax()));
        await If("sequence-100-noop", () => InstancesAsync(engine, "sequence-100-noop", Definitions.Sequence(Definitions.NoOp), 100));
        await If("sequence-100-setvariable", () => InstancesAsync(engine, "sequence-100-setvariable", Definitions.Sequence(Definitions.SetVariable), 100));
        await If("flowchart-loop-1000", () => InstancesAsync(engine, "flowchart-loop-1000", Definitions.FlowchartLoop(1000), 2001));
        await If("suspend-resume-memory", () => SuspendResumeAsync(engine));
        await If("definition-load", () => LoadAsync(engine));
        await If("loop-1000000", () => LongLoopAsync(engine));
        await If("javascript-expression", () => ScriptAsync("javascript-expression", "JavaScript", "variables.Lines.filter(l => l.quantity > 0).reduce((sum, l) => sum + l.price * l.quantity, 0) * (getRegion() === 'EU' ? 1.2 : 1)"));
        await If("liquid-expression", () => ScriptAsync("liquid-expression", "Liquid", "Order for {{ Variables.Region | upcase }}: {% for line in Variables.Lines %}{{ line.quantity }} x {{ line.name | capitalize }}{% unless forloop.last %}, {% endunless %}{% endfor %}"));

        async Task If(string name, Func<Task<Figure>> bench)
        {
            if (only.Length == 0 || only.Contains(name))
                report.Add(await bench());
        }
    }

    private static WorkflowGraph Compile(WorkflowEngine engine, byte[] definition) =>
        engine.Compile(WorkflowDefinitionReader.Read(definition));

    /// <summary>Runs whole instances, execution log kept.</summary>
    private static async Task<Figure> InstancesAsync(WorkflowEngine engine, string bench, byte[] definition, int activities)
    {
        var graph = Compile(engine, definition);
        return await Measure.RunAsync(bench, activities, async () =>
        {
            var instance = engine.CreateInstance(graph);
            await engine.RunAsync(instance, Host, default);
            if (instance.SubStatus != WorkflowSubStatus.Finished || instance.Log.Count < 2 * activities)
                throw new InvalidOperationException($"The run ended as {instance.SubStatus} with {instance.Log.Count} log entries.");
        });
    }

    /// <summary>Start, wait for an event, serialize, deserialize, resume, complete.</summary>
    private static async Task<Figure> SuspendResumeAsync(WorkflowEngine engine)
    {
        var graph = Compile(engine, Definitions.Event());
        var buffer = new ArrayBufferWriter<byte>(4096);
        var figure = await Measure.RunAsync("suspend-resume-memory", 1, async () =>
        {
            var instance = engine.CreateInstance(graph);
            await engine.RunAsync(instance, Host, default);
            buffer.ResetWrittenCount();
            InstanceSerializer.Write(instance, buffer);
            var restored = InstanceSerializer.Read(instance.Id, graph, buffer.WrittenSpan, engine.Time);
            await engine.ResumeAsync(restored, restored.Bookmarks[0], null, Host, default);
            if (restored.SubStatus != WorkflowSubStatus.Finished)
                throw new InvalidOperationException($"The run ended as {restored.SubStatus}.");
        });
        return figure with { More = new Dictionary<string, double> { ["stateBytes"] = buffer.WrittenCount } };
    }

    /// <summary>From the bytes of a definition to a graph that can run.</summary>
    private static async Task<Figure> LoadAsync(WorkflowEngine engine)
    {
        var definition = Definitions.Designed();
        var figure = await Measure.RunAsync("definition-load", 1, () =>
        {
            if (Compile(engine, definition).Nodes.Count != 12)
                throw new InvalidOperationException("The definition did not load.");
            return Task.CompletedTask;
        });
        return figure with { More = new Dictionary<string, double> { ["definitionBytes"] = definition.Length } };
    }

    /// <summary>A million rounds of a flowchart loop in one burst; the log goes to a sink as it would to a journal.</summary>
    private static async Task<Figure> LongLoopAsync(WorkflowEngine engine)
    {
        const int Rounds = 1_000_000;
        var graph = Compile(engine, Definitions.FlowchartLoop(Rounds));
        var sink = new CountingSink();
        var host = new WorkflowHost { LogSink = sink };
        var warmUp = engine.CreateInstance(Compile(engine, Definitions.FlowchartLoop(Rounds / 10)));
        await engine.RunAsync(warmUp, new WorkflowHost { LogSink = new CountingSink() }, default);
        GC.Collect();
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var allocated = GC.GetTotalAllocatedBytes(precise: true);
        var watch = Stopwatch.StartNew();
        var instance = engine.CreateInstance(graph);
        await engine.RunAsync(instance, host, default);
        watch.Stop();
        var activities = (2.0 * Rounds) + 1;
        var bytes = (GC.GetTotalAllocatedBytes(precise: true) - allocated) / activities;
        var kept = GC.GetTotalMemory(forceFullCollection: true) - before;
        if (instance.SubStatus != WorkflowSubStatus.Finished || sink.Count < 2 * activities - 2048)
            throw new InvalidOperationException($"The run ended as {instance.SubStatus} with {sink.Count} log entries.");
        GC.KeepAlive(instance);
        return new Figure("loop-1000000", activities / watch.Elapsed.TotalSeconds, watch.Elapsed.TotalMicroseconds / activities, bytes)
        {
            More = new Dictionary<string, double>
            {
                ["keptBytes"] = kept,
                ["peakWorkingSetBytes"] = Process.GetCurrentProcess().PeakWorkingSet64,
            },
        };
    }

    /// <summary>One expression with variables, evaluated through the engine by as many instances as keep both cores busy.</summary>
    private static async Task<Figure> ScriptAsync(string bench, string syntax, string script)
    {
        const int Concurrency = 50;
        const int EvaluationsEach = 40;
        await using var runners = new ScriptRunnerPool(
            new ScriptRunnerOptions(), NullLogger<ScriptRunnerPool>.Instance, TimeProvider.System);
        var engine = new WorkflowEngine(
            expressions: ExpressionSyntaxes.BuiltIn.With(new JavaScriptSyntax(runners), new LiquidSyntax(runners)));
        var graph = Compile(engine, Evaluating(syntax, script));
        return await Measure.RunAsync(
            bench, Concurrency * EvaluationsEach, () => Task.WhenAll(Enumerable.Range(0, Concurrency).Select(_ => EvaluateAsync())));

        async Task EvaluateAsync()
        {
            for (var i = 0; i < EvaluationsEach; i++)
            {
                var instance = engine.CreateInstance(graph);
                await engine.RunAsync(instance, Host, default);
                if (instance.SubStatus != WorkflowSubStatus.Finished)
                    throw new InvalidOperationException(instance.Incidents[0].Message);
            }
        }
    }

    private static byte[] Evaluating(string syntax, string script)
    {
        var definition = JsonNode.Parse(Definitions.Event())!;
        definition["variables"] = JsonNode.Parse("""
            [
              { "id": "lines", "name": "Lines", "typeName": "JsonArray", "value": "[{\"name\":\"chair\",\"price\":49.5,\"quantity\":4},{\"name\":\"table\",\"price\":199,\"quantity\":1},{\"name\":\"lamp\",\"price\":25,\"quantity\":0}]" },
              { "id": "region", "name": "Region", "typeName": "String", "value": "EU" },
              { "id": "result", "name": "Result", "typeName": "Object" }
            ]
            """);
        definition["root"] = new JsonObject
        {
            ["id"] = "set",
            ["type"] = "Elsa.SetVariable",
            ["version"] = 1,
            ["variable"] = new JsonObject { ["id"] = "result", ["name"] = "Result" },
            ["value"] = new JsonObject
            {
                ["typeName"] = "Object",
                ["expression"] = new JsonObject { ["type"] = syntax, ["value"] = script },
            },
        };
        return System.Text.Encoding.UTF8.GetBytes(definition.ToJsonString());
    }
}
