using System.Security.Claims;
using System.Text.Json;
using Conclave.Server.Accounts;

namespace Conclave.Server.ElsaApi.Definitions;

/// <summary>What the caller may do with workflows. Studio reads its rights from here: without <c>publish</c> it shows a workflow read-only.</summary>
internal static class DefinitionLinks
{
    /// <summary>Right to read workflows.</summary>
    public const string Read = "read:workflow-definitions";

    /// <summary>Right to change workflows.</summary>
    public const string Write = "write:workflow-definitions";

    /// <summary>How versions are named in queries.</summary>
    internal const string VersionsHelp = "Latest, Published, Draft, LatestOrPublished, LatestAndPublished, AllVersions or the number of a version.";

    /// <summary>Right to publish workflows.</summary>
    public const string Publish = "publish:workflow-definitions";

    /// <summary>Right to take workflows out of use.</summary>
    public const string Retract = "retract:workflow-definitions";

    /// <summary>Right to delete workflows.</summary>
    public const string Delete = "delete:workflow-definitions";

    /// <summary>Right to run workflows.</summary>
    public const string Execute = "exec:workflow-definitions";

    /// <summary>Writes the links of a workflow.</summary>
    public static void WriteTo(Utf8JsonWriter writer, ClaimsPrincipal user, string definitionId, string id, bool isReadonly)
    {
        var path = $"{ElsaApi.Prefix}/workflow-definitions/{Uri.EscapeDataString(definitionId)}";
        writer.WriteStartArray("links");
        Add("self", "GET", path);
        Add("self", "GET", $"{ElsaApi.Prefix}/workflow-definitions/by-id/{Uri.EscapeDataString(id)}");
        Add("versions", "GET", $"{path}/versions");
        if (user.Has(Execute))
        {
            Add("bulk-dispatch", "POST", $"{path}/bulk-dispatch");
            Add("dispatch", "POST", $"{path}/dispatch");
            Add("execute", "POST", $"{path}/execute");
        }

        Add("export", "POST", $"{path}/export");
        if (!isReadonly)
        {
            // Studio takes this one for the right to edit, so that it takes both.
            if (user.Has(Publish) && user.Has(Write))
                Add("publish", "POST", $"{path}/publish");
            if (user.Has(Retract))
                Add("retract", "POST", $"{path}/retract");
            if (user.Has(Delete))
                Add("delete", "DELETE", path);
            if (user.Has(Write))
                Add("import", "PUT", $"{path}/import");
            if (user.Has(Publish))
                Add("update-references", "POST", $"{path}/update-references");
        }

        writer.WriteEndArray();

        void Add(string rel, string method, string href) => WriteLink(writer, rel, method, href);
    }

    /// <summary>Writes the links of a list.</summary>
    public static void WriteListTo(Utf8JsonWriter writer, ClaimsPrincipal user)
    {
        const string Definitions = $"{ElsaApi.Prefix}/workflow-definitions";
        const string Bulk = $"{ElsaApi.Prefix}/bulk-actions";
        writer.WriteStartArray("links");
        WriteLink(writer, "self", "GET", Definitions);
        WriteLink(writer, "is-name-unique", "GET", $"{Definitions}/validation/is-name-unique");
        WriteLink(writer, "count", "GET", $"{Definitions}/query/count");
        WriteLink(writer, "many-by-id", "GET", $"{Definitions}/many-by-id");
        if (user.Has(Delete))
        {
            WriteLink(writer, "bulk-delete-by-definition-id", "POST", $"{Bulk}/delete/workflow-definitions/by-definition-id");
            WriteLink(writer, "bulk-delete-by-id", "POST", $"{Bulk}/delete/workflow-definitions/by-id");
        }

        if (user.Has(Publish) && user.Has(Write))
            WriteLink(writer, "bulk-publish", "POST", $"{Bulk}/publish/workflow-definitions/by-definition-ids");
        if (user.Has(Retract))
            WriteLink(writer, "bulk-retract", "POST", $"{Bulk}/retract/workflow-definitions/by-definition-ids");
        if (user.Has(Write))
        {
            WriteLink(writer, "import", "POST", $"{Definitions}/import");
            WriteLink(writer, "import-files", "POST", $"{Definitions}/import-files");
            WriteLink(writer, "create", "POST", Definitions);
        }

        writer.WriteEndArray();
    }

    private static void WriteLink(Utf8JsonWriter writer, string rel, string method, string href)
    {
        writer.WriteStartObject();
        writer.WriteString("href", href);
        writer.WriteString("rel", rel);
        writer.WriteString("method", method);
        writer.WriteEndObject();
    }
}
