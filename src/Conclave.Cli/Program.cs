using System.CommandLine;
using Conclave.Cli;

var root = new RootCommand("Conclave: workflows, agents and their runtime from a terminal.")
{
    RunCommand.Create(),
    ValidateCommand.Create(),
    FormatCommand.Create(),
    DescribeCommand.Create(),
};
return await root.Parse(args).InvokeAsync();
