using Conclave.Benchmarks;
using Conclave.Benchmarks.Agents;
using Conclave.Benchmarks.Designer;
using Conclave.Benchmarks.Durable;
using Conclave.Benchmarks.Engine;
using Conclave.Benchmarks.Inference;
using Conclave.Benchmarks.Inference.Simulation;
using Conclave.Benchmarks.Lists;

if (args is [Signaller.Argument])
{
    await Signaller.RunAsync();
    return 0;
}

var json = args.Contains("--json");
switch (args.Where(a => !a.StartsWith("--", StringComparison.Ordinal)).ToArray())
{
    case ["engine", .. var only]:
        await EngineBenchmarks.RunAsync(new Report(json), only);
        return 0;
    case ["durable", .. var only]:
        await DurableBenchmarks.RunAsync(new Report(json), only);
        return 0;
    case ["elsa-lists", .. var only]:
        await ListBenchmarks.RunAsync(new Report(json), only);
        return 0;
    case ["agents", .. var only]:
        await AgentBenchmarks.RunAsync(new Report(json), only);
        return 0;
    case ["inference", .. var only]:
        await GatewayBenchmarks.RunAsync(new Report(json), only);
        return 0;
    case ["inference-sim", .. var only]:
        InferenceSimulation.Run(json, only);
        return 0;
    case ["designer"]:
        await DesignerBenchmark.RunAsync(new Report(json));
        return 0;
    case [var group, ..]:
        Console.Error.WriteLine($"There is no benchmark group '{group}'. Groups: engine, durable, elsa-lists, inference, inference-sim, agents, designer.");
        return 1;
    default:
        Console.Error.WriteLine("Usage: dotnet run -c Release --project tests/Conclave.Benchmarks -- engine|durable|elsa-lists|inference|inference-sim|agents|designer [BENCH…] [--json]");
        return 1;
}
