using System.CommandLine;
using Conclave.Cli;
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
};
return await root.Parse(args).InvokeAsync();
