using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization;
using Conclave.Agents;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Expressions;
using Spectre.Console;

namespace Conclave.Cli;

/// <summary><c>conclave describe</c>: what an activity type offers.</summary>
internal static class DescribeCommand
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        Converters = { new JsonStringEnumConverter() },
    };

    public static Command Create()
    {
        var type = new Argument<string?>("type") { Description = "An activity type such as Elsa.WriteLine; without it all types are listed.", Arity = ArgumentArity.ZeroOrOne };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("describe", "Show an activity type's inputs, outputs and ports.") { type, json };
        command.SetAction(result => Describe(result.GetValue(type), result.GetValue(json)));
        return command;
    }

    private static int Describe(string? typeName, bool json)
    {
        var catalog = AgentActivities.Catalog;
        if (typeName is null)
        {
            List(catalog, json);
            return ExitCodes.Finished;
        }

        var found = catalog.Find(typeName)
            ?? catalog.Types.FirstOrDefault(t => t.Descriptor.TypeName.Equals(typeName, StringComparison.OrdinalIgnoreCase)
                || t.Descriptor.Name.Equals(typeName, StringComparison.OrdinalIgnoreCase));
        if (found is null)
        {
            var similar = catalog.Types.Select(t => t.Descriptor.TypeName)
                .Where(n => n.Contains(typeName, StringComparison.OrdinalIgnoreCase)).Take(5).ToArray();
            Console.Error.WriteLine($"There is no activity type '{typeName}'.{(similar.Length > 0 ? $" Did you mean {string.Join(", ", similar)}?" : "")}");
            return ExitCodes.CannotBeLoaded;
        }

        if (json)
            Console.WriteLine(JsonSerializer.Serialize(found.Descriptor, Json));
        else
            Show(found.Descriptor);
        return ExitCodes.Finished;
    }

    private static void List(ActivityCatalog catalog, bool json)
    {
        var descriptors = catalog.Types.Select(t => t.Descriptor).ToList();
        if (json)
        {
            Console.WriteLine(JsonSerializer.Serialize(descriptors, Json));
            return;
        }

        var table = new Table().AddColumns("Type", "Category", "What it does");
        foreach (var descriptor in descriptors.OrderBy(d => d.Category).ThenBy(d => d.TypeName))
            table.AddRow(descriptor.TypeName, Markup.Escape(descriptor.Category), Markup.Escape(descriptor.Description));
        AnsiConsole.Write(table);
    }

    private static void Show(ActivityDescriptor descriptor)
    {
        AnsiConsole.MarkupLineInterpolated($"[bold]{descriptor.TypeName}[/] {descriptor.DisplayName}, version {descriptor.Version}, {descriptor.Category}, {descriptor.Kind}");
        AnsiConsole.WriteLine(descriptor.Description);
        if (descriptor.Inputs.Count > 0)
        {
            var table = new Table { Title = new TableTitle("Inputs") }.AddColumns("Name", "Type", "Default", "Description");
            foreach (var input in descriptor.Inputs)
                table.AddRow(Markup.Escape(input.Name), Markup.Escape(input.TypeName), Markup.Escape(Text(input.DefaultValue)), Markup.Escape(Help(input)));
            AnsiConsole.Write(table);
        }

        if (descriptor.Outputs.Count > 0)
        {
            var table = new Table { Title = new TableTitle("Outputs") }.AddColumns("Name", "Type", "Description");
            foreach (var output in descriptor.Outputs)
                table.AddRow(Markup.Escape(output.Name), Markup.Escape(output.TypeName), Markup.Escape(output.Description ?? ""));
            AnsiConsole.Write(table);
        }

        var ports = new Table { Title = new TableTitle("Ports") }.AddColumns("Name", "Type");
        foreach (var port in descriptor.Ports)
            ports.AddRow(Markup.Escape(port.Name), port.Type == PortType.Flow ? "outcome" : "activity inside");
        if (!descriptor.IsTerminal && !descriptor.Ports.Any(p => p.Type == PortType.Flow))
            ports.AddRow("Done", "outcome");
        if (ports.Rows.Count > 0)
            AnsiConsole.Write(ports);
    }

    private static string Help(InputDescriptor input) =>
        input.Options.Count > 0
            ? $"{input.Description} One of {string.Join(", ", input.Options.Select(o => o.Value).Where(o => o.Length > 0))}."
            : input.Description ?? "";

    private static string Text(object? value) => ValueConverter.ToText(value) ?? "";
}
