using System.Text;
using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Http;

/// <summary>
/// A file that came with a request or an answer. As a workflow value it is <c>{name, fileName, contentType, size, content}</c>,
/// where the content is base64.
/// </summary>
/// <param name="Name">Name of the form field; empty when it was not part of a form.</param>
/// <param name="FileName">Name of the file; null when unknown.</param>
/// <param name="ContentType">Media type; null when unknown.</param>
/// <param name="Content">Bytes.</param>
public sealed record HttpFileData(string Name, string? FileName, string? ContentType, byte[] Content) : IJsonValue
{
    /// <inheritdoc/>
    public void WriteJson(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("name", Name);
        writer.WriteString("fileName", FileName);
        writer.WriteString("contentType", ContentType);
        writer.WriteNumber("size", Content.Length);
        writer.WriteBase64String("content", Content);
        writer.WriteEndObject();
    }

    /// <summary>Reads an object with <c>content</c> (base64) or <c>text</c>.</summary>
    /// <returns>The file; null when the value is something else.</returns>
    /// <exception cref="WorkflowException">The content is not base64.</exception>
    internal static HttpFileData? Read(JsonElement json)
    {
        var hasContent = JsonShapes.TryGet(json, "content", out var content) && content.ValueKind == JsonValueKind.String;
        if (!hasContent && JsonShapes.GetString(json, "text") is null)
            return null;
        byte[]? bytes;
        if (!hasContent)
            bytes = Encoding.UTF8.GetBytes(JsonShapes.GetString(json, "text")!);
        else if (!content.TryGetBytesFromBase64(out bytes))
            throw new WorkflowException("http.bad_file", "The 'content' of a file must be base64. Give plain text in 'text' instead.") { IsPermanent = true };
        var name = JsonShapes.GetString(json, "name") ?? "";
        return new HttpFileData(name, JsonShapes.GetString(json, "fileName"), JsonShapes.GetString(json, "contentType"), bytes);
    }
}
