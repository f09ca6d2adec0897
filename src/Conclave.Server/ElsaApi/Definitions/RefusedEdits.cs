using System.Globalization;
using Conclave.Server.Api;
using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Server.ElsaApi.Definitions;

/// <summary>Keeps what an editor wanted to save over somebody else's work: as a draft of its own, which anybody finds in the list.</summary>
internal static class RefusedEdits
{
    private const int MostCopies = 100;

    /// <summary>Keeps a refused workflow. What the same editor sends later replaces it, so that there is one copy and not one for each autosave.</summary>
    /// <returns>The copy.</returns>
    public static async Task<StoredDefinition> KeepAsync(HttpContext context, DefinitionModel refused)
    {
        var (definition, catalog) = (refused.Definition, context.Runtime().Catalog);
        var copy = definition with
        {
            Id = DefinitionModel.NewId(),
            Name = $"{definition.Name ?? definition.DefinitionId} (copy of {Shown(context.Actor())})",
            IsReadonly = false,
        };
        // An expected hash that nothing has: over nothing but this editor's own copy. One that somebody goes on with is left to them.
        var edit = refused.Edit with { ExpectedHash = new string('0', 64) };
        for (var number = 1; ; number++)
        {
            var id = DefinitionModel.DerivedId(definition.DefinitionId, refused.Session, number.ToString(CultureInfo.InvariantCulture));
            var isFree = await catalog.Store.FindLatestAsync(context.Tenant(), id, context.RequestAborted) is null;
            try
            {
                return await catalog.SaveEditAsync(
                    context.Tenant(), copy with { DefinitionId = id }, publish: false, isFree ? edit with { ExpectedHash = null } : edit, context.RequestAborted);
            }
            catch (DefinitionConflictException) when (number < MostCopies)
            {
                // The copy is somebody's workflow now.
            }
        }
    }

    /// <summary>What the editor is told.</summary>
    public static string TextOf(DefinitionConflictException conflict, DefinitionModel refused, StoredDefinition copy)
    {
        var name = refused.Definition.Name ?? refused.Definition.DefinitionId;
        var happened = conflict.CurrentHash is null
            ? $"Workflow '{name}' was deleted after you opened it, so your changes were not saved to it."
            : string.Create(CultureInfo.InvariantCulture, $"Workflow '{name}' was changed by {Who(conflict, refused)} on {conflict.ChangedAt:yyyy-MM-dd} at {conflict.ChangedAt:HH:mm:ss} UTC, after you opened it, so your changes were not saved to it.");
        return $"{happened} Nothing is lost: what you have is kept as the workflow '{copy.Definition.Name}' ({copy.Definition.DefinitionId}) in the list. "
            + (conflict.CurrentHash is null ? "Go on there." : "Reload the page to see the changes of the other, or go on in the copy.");
    }

    private static string Who(DefinitionConflictException conflict, DefinitionModel refused) => conflict.ChangedBy switch
    {
        null or "" => "an import or a program",
        var who when who == refused.Edit.Actor => $"{Shown(who)} in another window",
        var who => Shown(who),
    };

    private static string Shown(string actor) => actor.Length > 0 ? actor : "somebody";
}
