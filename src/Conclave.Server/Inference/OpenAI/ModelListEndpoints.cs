using System.Text.Json;
using Conclave.Inference;
using Conclave.Server.Api;

namespace Conclave.Server.Inference.OpenAI;

/// <summary><c>GET /v1/models</c> and <c>GET /v1/models/{model}</c>.</summary>
internal static class ModelListEndpoints
{
    public static void Map(IEndpointRouteBuilder group)
    {
        group.MapGet("/models", ListAsync);
        group.MapGet("/models/{**model}", GetAsync);
    }

    private static async Task ListAsync(HttpContext context, InferenceRole role)
    {
        var models = VisibleModel.AndAliases(role, context.Tenant());
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("object", "list");
            writer.WriteStartArray("data");
            foreach (var model in models)
                Write(writer, model);
            writer.WriteEndArray();
            writer.WriteEndObject();
        });
    }

    private static async Task GetAsync(HttpContext context, InferenceRole role, string model)
    {
        var found = VisibleModel.Find(VisibleModel.AndAliases(role, context.Tenant()), model)
            ?? throw new InferenceException(InferenceFailure.ModelNotFound, "inference.model_not_found", $"No server has a model '{model}'. GET /v1/models lists those that there are.") { Parameter = "model" };
        await context.WriteJsonAsync(writer => Write(writer, found));
    }

    private static void Write(Utf8JsonWriter writer, VisibleModel model)
    {
        writer.WriteStartObject();
        writer.WriteString("id", model.Name);
        writer.WriteString("object", "model");
        writer.WriteNumber("created", model.Model.ModifiedAt?.ToUnixTimeSeconds() ?? 0);
        writer.WriteString("owned_by", model.IsAlias ? "conclave" : model.Servers[0].Server.Provider);
        // vLLM's name for it, which clients look for.
        if (model.Model.ContextSize is { } size)
            writer.WriteNumber("max_model_len", size);
        model.WriteAlias(writer);
        writer.WriteEndObject();
    }
}
