namespace Conclave.Agents.Packages;

/// <summary>What there is for packages to use.</summary>
/// <param name="HasTool">Whether there is a tool of that name.</param>
/// <param name="HasAgent">Whether there is a package of that name that can be used.</param>
/// <param name="HasBehaviour">Whether there is a published workflow with that definition id.</param>
public sealed record KnownParts(Func<string, bool> HasTool, Func<string, bool> HasAgent, Func<string, bool> HasBehaviour)
{
    /// <summary>What a package asks for and is not there. It may come later, so the package is used all the same.</summary>
    /// <param name="manifest">The package.</param>
    /// <param name="ownBehaviours">Its own behaviours, by their files without folder and ending.</param>
    public IReadOnlyList<PackageProblem> Missing(AgentManifest manifest, IReadOnlyCollection<string> ownBehaviours)
    {
        var missing = new List<PackageProblem>();
        if (!ownBehaviours.Contains(manifest.Behaviour.Definition) && !HasBehaviour(manifest.Behaviour.Definition))
            Add("missing_behaviour", $"There is no published workflow '{manifest.Behaviour.Definition}'. Agents of the package cannot take messages until there is.");
        foreach (var tool in manifest.Dependencies.Tools.Concat(manifest.Tools).Distinct().Where(t => !HasTool(t)))
            Add("missing_tool", $"There is no tool '{tool}'. Agents of the package do without it until there is.");
        foreach (var agent in manifest.Dependencies.Agents.Where(a => a != manifest.Name && !HasAgent(a)))
            Add("missing_agent", $"There is no package '{agent}' that can be used. Nothing can be handed to it until there is.");
        return missing;

        void Add(string code, string message) => missing.Add(new PackageProblem(PackageStage.Manifest, $"agent_package.{code}", message, PackageContent.Manifest));
    }
}
