using System.CommandLine;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Http;

namespace Conclave.Cli;

/// <summary><c>conclave run</c>: runs a definition in memory; no server and no database.</summary>
internal static class RunCommand
{
    public static Command Create()
    {
        var file = new Argument<FileInfo>("file") { Description = "The workflow definition to run." };
        var with = new Option<FileSystemInfo[]>("--with")
        {
            Description = "A file or folder with definitions that the workflow uses; may be given several times.",
        };
        var input = new Option<string[]>("--input", "-i")
        {
            Description = "An input as name=json, or name=@file; text that is not JSON is taken as it is.",
        };
        var flowchart = new Option<FlowchartMode?>("--flowchart") { Description = "How flowcharts run: counter (default) or token." };
        var resumeAll = new Option<bool>("--resume-all") { Description = "Resume everything the workflow waits for at once, until it ends." };
        var json = new Option<bool>("--json") { Description = "Print one JSON object that tells everything about the run." };
        var allowCSharp = new Option<bool>("--allow-csharp") { Description = "Let C# in the definition run with your rights." };
        var allowHost = new Option<string[]>("--allow-host")
        {
            Description = "A host, or host:port, that the workflow may reach although it is not on the public internet, for example localhost:8080.",
        };
        var correlationId = new Option<string?>("--correlation-id") { Description = "Correlation id of the instance." };
        var command = new Command("run", "Run a workflow definition in memory.")
        {
            file, with, input, flowchart, resumeAll, json, allowCSharp, allowHost, correlationId,
        };
        command.SetAction((result, cancellationToken) => RunAsync(
            result.GetRequiredValue(file),
            result.GetValue(with) ?? [],
            result.GetValue(input) ?? [],
            new Settings(
                result.GetValue(flowchart) ?? FlowchartMode.Counter,
                result.GetValue(flowchart) is not null,
                result.GetValue(resumeAll),
                result.GetValue(json),
                result.GetValue(allowCSharp),
                result.GetValue(allowHost) ?? [],
                result.GetValue(correlationId)),
            cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(
        FileInfo file, FileSystemInfo[] with, string[] inputs, Settings settings, CancellationToken cancellationToken)
    {
        foreach (var problem in new OutboundHttpOptions { AllowedHosts = settings.AllowedHosts }.Validate())
        {
            await Console.Error.WriteLineAsync($"--allow-host: {problem}");
            return ExitCodes.CannotBeLoaded;
        }

        var library = new WorkflowLibrary();
        await using var local = new LocalEngine(library, settings.AllowCSharp, settings.Mode, settings.AllowedHosts);
        var isComplete = await DefinitionFiles.AddAsync(library, with, cancellationToken);
        if (await DefinitionFiles.ReadAsync(file, local.Engine, cancellationToken) is not { } definition || !isComplete)
            return ExitCodes.CannotBeLoaded;
        library.Add(definition);
        if (await ReadInputsAsync(inputs, definition, cancellationToken) is not { } values)
            return ExitCodes.CannotBeLoaded;
        WarnOfUndeclared(values.Keys, definition);

        WorkflowGraph graph;
        try
        {
            graph = local.Engine.Compile(definition);
        }
        catch (WorkflowDefinitionException exception)
        {
            DefinitionFiles.Report(file, exception.Problems);
            return ExitCodes.CannotBeLoaded;
        }

        DefinitionFiles.Report(file, graph.Problems);
        var run = new LocalRun(local.Engine, settings.Json ? null : Console.WriteLine);
        var start = new WorkflowStart
        {
            Input = values,
            CorrelationId = settings.CorrelationId,
            FlowchartMode = settings.IsModeGiven ? settings.Mode : null,
        };
        await run.StartAsync(graph, start, cancellationToken);
        if (settings.ResumeAll && !await run.ResumeAllAsync(cancellationToken))
            await Console.Error.WriteLineAsync("The workflow waits again and again; stopped resuming it.");
        if (settings.Json)
        {
            await using var output = Console.OpenStandardOutput();
            RunReport.WriteJson(run, output);
        }
        else
            RunReport.WriteText(run);
        return run.Instance.SubStatus switch
        {
            WorkflowSubStatus.Finished => ExitCodes.Finished,
            WorkflowSubStatus.Faulted or WorkflowSubStatus.Cancelled => ExitCodes.Faulted,
            _ => ExitCodes.Suspended,
        };
    }

    /// <summary>Reads the inputs as the definition's types; null after saying what is wrong.</summary>
    private static async Task<Dictionary<string, object?>?> ReadInputsAsync(
        string[] inputs, WorkflowDefinition definition, CancellationToken cancellationToken)
    {
        var values = new Dictionary<string, object?>(StringComparer.Ordinal);
        try
        {
            foreach (var (name, json) in await InputArguments.ReadAsync("--input", inputs, cancellationToken))
            {
                try
                {
                    values[name] = Convert(definition, name, ValueConverter.FromJson(json));
                }
                catch (ValueConversionException exception)
                {
                    throw CommandException.BadInput($"--input {name}: {exception.Message}");
                }
            }
        }
        catch (CommandException exception)
        {
            await Console.Error.WriteLineAsync(exception.Message);
            return null;
        }

        return values;
    }

    /// <summary>Scripts may read inputs that nothing declares, so a strange name is no error; most often it is a slip.</summary>
    private static void WarnOfUndeclared(IEnumerable<string> names, WorkflowDefinition definition)
    {
        var declared = definition.Inputs.Select(i => i.Name).ToList();
        if (declared.Count == 0)
            return;
        foreach (var name in names.Except(declared))
            Console.Error.WriteLine($"--input {name}: warning: the workflow declares no such input; it has {string.Join(", ", declared)}.");
    }

    private static object? Convert(WorkflowDefinition definition, string name, object? value) =>
        definition.Inputs.FirstOrDefault(i => i.Name == name) is { } declared
            ? ValueConverter.Convert(value, TypeAliases.Resolve(declared.Type, declared.IsArray))
            : value;

    private sealed record Settings(
        FlowchartMode Mode, bool IsModeGiven, bool ResumeAll, bool Json, bool AllowCSharp, string[] AllowedHosts, string? CorrelationId);
}
