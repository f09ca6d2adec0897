using System.Runtime.InteropServices;
using System.Text.Json;
using Conclave.Agents;
using Conclave.Agents.Actions;
using Conclave.Agents.Approvals;
using Conclave.Agents.Tools;
using Conclave.Server.Accounts;
using Conclave.Server.ElsaApi.Instances;
using Conclave.Server.Hosting;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions.Scripting;

namespace Conclave.Server.Approvals;

/// <summary>Approvals, on the server's database and with its accounts.</summary>
internal static class ApprovalServices
{
    public static IServiceCollection AddApprovals(this IServiceCollection services) => services
        .AddSingleton(NewStore)
        .AddSingleton<ApprovalGate, StoredApprovals>()
        .AddSingleton(provider => new ApprovalWatch(
            provider.GetRequiredService<ServerRuntime>().Database, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<ApprovalWatch>>()))
        .AddHostedService<ApprovalWatchdog>();

    private static ApprovalStore NewStore(IServiceProvider provider)
    {
        var server = provider.GetRequiredService<ServerRuntime>();
        return new ApprovalStore(server.Database, provider.GetRequiredService<TimeProvider>())
        {
            MayDecide = roles => Permissions.Covers(Roles.PermissionsOf(roles), Permissions.DecideApprovals),
            Validate = (schema, value, token) => ValidateAsync(server.Scripts, schema, value, token),
            Enqueued = () => server.Runtime.Signal.Wake(),
            Recheck = (action, token) => RecheckAsync(provider.GetRequiredService<ToolServices>(), action, token),
            Link = (tenant, id) => Link(provider.GetRequiredService<SignedLinks>(), tenant, id),
        };
    }

    private static async ValueTask<IReadOnlyList<string>> ValidateAsync(ScriptRunnerPool scripts, JsonElement schema, JsonElement value, CancellationToken cancellationToken)
    {
        try
        {
            var report = await scripts.ValidateJsonAsync(Utf8(schema), Utf8(value), cancellationToken);
            return [.. report.Errors.Select(e => e.Path.Length > 0 ? $"{e.Path} {e.Message}" : e.Message)];
        }
        catch (ScriptException exception) when (exception.Kind == ScriptFailure.Schema)
        {
            return [$"its schema cannot be used: {exception.Message}"];
        }
    }

    private static async ValueTask<string?> RecheckAsync(ToolServices tools, ProposedAction action, CancellationToken cancellationToken)
    {
        if (tools.Registry.Find(action.Tenant, action.Tool) is not { } tool)
            return $"There is no tool '{action.Tool}' any more.";
        var decision = await tools.Permissions.DecideAsync(action.Tenant, action.AgentId, tool.Definition, null, action.Arguments, cancellationToken);
        return decision.Mode == ToolMode.Deny ? decision.Reason : null;
    }

    private static string? Link(SignedLinks links, string tenant, string id)
    {
        try
        {
            return links.ApprovalUrl(tenant, id);
        }
        catch (WorkflowException)
        {
            // Nobody said what this server's address is: the message goes without.
            return null;
        }
    }

    private static byte[] Utf8(JsonElement json) => JsonMarshal.GetRawUtf8Value(json).ToArray();
}
