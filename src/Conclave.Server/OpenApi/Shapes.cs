using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace Conclave.Server.OpenApi;

/// <summary>Turns records named <c>…Shape</c> and <c>…Request</c> into schemas. They describe JSON and are never made.</summary>
/// <remarks>
/// What a shape's constructor takes is always there: where it may be null, our own API writes null, and Elsa's leaves the member out. Properties outside
/// the constructor may be missing. Of a request only what its constructor takes without null is needed.
/// </remarks>
internal static class Shapes
{
    private const string Suffix = "Shape";
    private const string Request = "Request";
    private const string ElsaPrefix = "Elsa";

    /// <summary>Name of a shape in the document; null for types that have none.</summary>
    public static string? NameOf(JsonTypeInfo info)
    {
        var type = Nullable.GetUnderlyingType(info.Type) ?? info.Type;
        if (type == typeof(JsonElement) || type == typeof(System.Text.Json.Nodes.JsonObject) || type.IsEnum)
            return null;
        if (!IsShape(type))
            return OpenApiOptions.CreateDefaultSchemaReferenceId(info);
        return NameOf(type);
    }

    /// <summary>Takes null from what is left out when it has no value.</summary>
    public static void Complete(string name, OpenApiSchema schema)
    {
        if (schema.Properties is null || !(name.StartsWith(ElsaPrefix, StringComparison.Ordinal) || name.EndsWith(Request, StringComparison.Ordinal)))
            return;
        var isRequest = name.EndsWith(Request, StringComparison.Ordinal);
        foreach (var (member, given) in schema.Properties.ToList())
        {
            if (given is OpenApiSchema { Type: { } type } plain && type.HasFlag(JsonSchemaType.Null))
            {
                schema.Required?.Remove(member);
                // Studio sends null for whatever it does not know.
                if (!isRequest)
                    plain.Type = type & ~JsonSchemaType.Null;
            }
            else if (given is OpenApiSchema { Type: null, OneOf: null, Enum: null })
            {
                // Any value: it says nothing of null, and Elsa's own have no other way to be left out.
                schema.Required?.Remove(member);
            }
            else if (given is OpenApiSchema { OneOf: { Count: 2 } either } && either.OfType<OpenApiSchemaReference>().FirstOrDefault() is { } reference)
            {
                schema.Required?.Remove(member);
                if (!isRequest)
                    schema.Properties[member] = reference;
            }
        }
    }

    private static bool IsShape(Type type) => type.Name.Split('`')[0] is var name
        && (name.EndsWith(Suffix, StringComparison.Ordinal) || name.EndsWith(Request, StringComparison.Ordinal));

    private static string NameOf(Type type)
    {
        var name = type.Name.Split('`')[0];
        name = name.EndsWith(Suffix, StringComparison.Ordinal) ? name[..^Suffix.Length] : name;
        var prefix = type.Namespace?.StartsWith(typeof(ElsaApi.ElsaApi).Namespace!, StringComparison.Ordinal) == true ? ElsaPrefix : "";
        return type.IsGenericType ? $"{prefix}{name}Of{string.Concat(type.GetGenericArguments().Select(NameOf))}" : prefix + name;
    }
}
