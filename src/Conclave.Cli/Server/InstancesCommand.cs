using System.CommandLine;

namespace Conclave.Cli.Server;

/// <summary><c>conclave instances</c>: what runs and what ran.</summary>
internal static class InstancesCommand
{
    public static Command Create()
    {
        var definition = new Option<string?>("--definition") { Description = "Only those of this workflow.", HelpName = "definitionId" };
        var status = new Option<string?>("--status") { Description = "Running or Finished." };
        status.AcceptOnlyFromAmong("Running", "Finished", "running", "finished");
        var subStatus = new Option<string?>("--sub-status") { Description = "Pending, Executing, Suspended, Finished, Cancelled or Faulted." };
        subStatus.AcceptOnlyFromAmong("Pending", "Executing", "Suspended", "Finished", "Cancelled", "Faulted",
            "pending", "executing", "suspended", "finished", "cancelled", "faulted");
        var correlationId = new Option<string?>("--correlation-id") { Description = "Only those with this correlation id." };
        var faulted = new Option<bool>("--faulted") { Description = "Only those with incidents, also when they go on." };
        var paging = new Paging();
        return ServerCommand.Create(
            "instances",
            "List workflow instances, newest first.",
            async (session, cancellationToken) =>
            {
                var list = await paging.ReadAsync(
                    session,
                    () => ApiPath.Of("instances")
                        .With("definitionId", session.Get(definition))
                        .With("status", Capital(session.Get(status)))
                        .With("subStatus", Capital(session.Get(subStatus)))
                        .With("correlationId", session.Get(correlationId))
                        .With("hasIncidents", session.Get(faulted) ? "true" : null),
                    cancellationToken);
                return list.Show(
                    session.Screen,
                    "No such instances. Start a workflow with: conclave start <definitionId>",
                    new Column("Id", i => i.Text("id", "instanceId")) { IsKept = true },
                    new Column("Workflow", "definitionId"),
                    new Column("Status", "subStatus") { IsStatus = true },
                    new Column("Faults", i => i.Number("incidentCount") > 0 ? i.Text("incidentCount") : "") { IsNumber = true },
                    new Column("Name", i => SafeText.Short(i.Text("name"), 40)) { IsOptional = true },
                    new Column("Correlation", i => SafeText.Short(i.Text("correlationId"), 40)) { IsOptional = true },
                    Column.Time("Changed", session.Screen.When, "updatedAt", "createdAt"));
            },
            [definition, status, subStatus, correlationId, faulted, paging.Limit, paging.All]);
    }

    private static string? Capital(string? word) => word is null ? null : char.ToUpperInvariant(word[0]) + word[1..];
}
