using System.CommandLine;
using Conclave.Cli;
using Conclave.Cli.Server;
using Spectre.Console;

// Other programs read plain text, and wider than a terminal.
if (Console.IsOutputRedirected)
{
    AnsiConsole.Profile.Capabilities.Ansi = false;
    AnsiConsole.Profile.Width = 160;
}

var root = new RootCommand("Conclave: workflows, agents and their runtime from a terminal.")
{
    RunCommand.Create(),
    ValidateCommand.Create(),
    FormatCommand.Create(),
    DescribeCommand.Create(),
    ImportCommand.Create(),
    ExportCommand.Create(),
    StartCommand.Create(),
    InstancesCommand.Create(),
    ShowCommand.Create(),
    TestCommand.Create(),
    ApprovalsCommand.Create(),
    QueueCommand.Create(),
    ModelServersCommand.Create(),
    ModelsCommand.Create(),
    AliasesCommand.Create(),
};
foreach (var command in (Command[])[.. WorkflowCommands.Create(), .. InstanceCommands.Create(), .. StimulusCommands.Create()])
    root.Subcommands.Add(command);
return await root.Parse(args).InvokeAsync();
