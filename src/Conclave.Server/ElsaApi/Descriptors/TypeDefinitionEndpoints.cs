using System.Text;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Expressions;

namespace Conclave.Server.ElsaApi.Descriptors;

/// <summary>What the designer's code editor completes from.</summary>
internal static class TypeDefinitionEndpoints
{
    public static void Map(RouteGroupBuilder group) => group
        .MapPost("/scripting/javascript/type-definitions/{definitionId}", WriteAsync)
        .RequirePermission("read:javascript-type-definitions")
        .Describe("ElsaGetTypeDefinitions", "Get what scripts of a workflow may use, as TypeScript", o => o
            .Takes<TypeDefinitionsRequest>(isOptional: true).AnswersFile("application/x-typescript"));

    private static async Task WriteAsync(HttpContext context, string definitionId)
    {
        var body = await context.ReadObjectAsync();
        var catalog = context.Runtime().Catalog;
        if (await catalog.Store.FindLatestAsync(context.Tenant(), definitionId, context.RequestAborted) is not { } found)
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        WorkflowGraph? graph = null;
        try
        {
            graph = await catalog.Of(context.Tenant()).CompileAsync(found.Definition, context.RequestAborted);
        }
        catch (WorkflowDefinitionException)
        {
            // A draft that cannot run yet still has variables and inputs.
        }

        var text = TypeDefinitions.Write(found.Definition, graph, body.TextMember("activityTypeName"), body.TextMember("propertyName"));
        var bytes = Encoding.UTF8.GetBytes(text);
        context.Response.ContentType = "application/x-typescript";
        context.Response.ContentLength = bytes.Length;
        context.Response.Headers.CacheControl = "no-store";
        var disposition = new Microsoft.Net.Http.Headers.ContentDispositionHeaderValue("attachment");
        disposition.SetHttpFileName($"elsa.{definitionId}.d.ts");
        context.Response.Headers.ContentDisposition = disposition.ToString();
        await context.Response.Body.WriteAsync(bytes, context.RequestAborted);
    }
}
