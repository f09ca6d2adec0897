using Conclave.Benchmarks;
using Conclave.Benchmarks.Engine;

var json = args.Contains("--json");
var names = args.Where(a => !a.StartsWith("--", StringComparison.Ordinal)).ToArray();
if (names is not [_, ..])
{
    Console.Error.WriteLine("Usage: dotnet run -c Release --project tests/Conclave.Benchmarks -- engine [BENCH…] [--json]");
    return 1;
}

if (names[0] != "engine")
{
    Console.Error.WriteLine($"There is no benchmark group '{names[0]}'. Groups: engine.");
    return 1;
}

await EngineBenchmarks.RunAsync(new Report(json), names[1..]);
return 0;
