using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Agents.Packages;

/// <summary>The workflows of a package.</summary>
internal static class PackageBehaviours
{
    /// <summary>Reads them; each has the definition id of the package and its file, whatever the file says.</summary>
    public static IReadOnlyList<PackagedDefinition> Read(PackageContent content, AgentManifest manifest)
    {
        var read = new List<PackagedDefinition>();
        foreach (var file in content.Files.Where(f => PackageContent.IsBehaviour(f.Path)))
        {
            var entries = DefinitionPackage.ReadDocument(file.Path, file.Content);
            if (entries.Count != 1)
            {
                read.Add(PackagedDefinition.Refused(file.Path, "package.too_many", "The file holds several workflows. Give each a file of its own."));
                continue;
            }

            var id = manifest.BehaviourId(PackageContent.BehaviourName(file.Path));
            // Its own id of the version would be the same in every tenant.
            read.Add(entries[0].Definition is { } definition
                ? entries[0] with { Definition = definition with { DefinitionId = id, Id = Conclave.Workflows.Definitions.WorkflowDefinitionReader.NewId() } }
                : entries[0]);
        }

        return read;
    }
}
