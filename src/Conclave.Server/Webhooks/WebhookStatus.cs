using Conclave.Server.Api;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Server.Webhooks;

/// <summary>How an instance stands that a request started, for whoever was given its id. The id is the key: it cannot be guessed.</summary>
internal static class WebhookStatus
{
    public static Task GetAsync(HttpContext context, string instanceId) => Problems.HandleAsync(context, _ => AnswerAsync(context, instanceId));

    private static async Task AnswerAsync(HttpContext context, string instanceId)
    {
        var runtime = context.Runtime();
        var found = await runtime.Instances.FindAsync(Tenants.Default, instanceId, context.RequestAborted) ?? throw ApiException.NoInstance(instanceId);
        var instance = found.Status == WorkflowStatus.Finished ? await runtime.Runner.ReadAsync(Tenants.Default, instanceId, context.RequestAborted) : null;
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("instanceId", found.Id);
            writer.WriteString("status", found.Status.ToString());
            writer.WriteString("subStatus", found.SubStatus.ToString());
            writer.WriteString("createdAt", found.CreatedAt);
            writer.WriteString("updatedAt", found.UpdatedAt);
            if (instance is not null)
            {
                writer.WritePropertyName("output");
                ValueConverter.WriteJson(writer, instance.Output);
            }

            writer.WriteEndObject();
        });
    }
}
