namespace Conclave.Agents.Tools;

/// <summary>Tools that code knows of: those of packages, workflows, the product's own.</summary>
public abstract class ToolSource
{
    /// <summary>Its name, such as <c>package:butler</c>; shown with its tools.</summary>
    public abstract string Name { get; }

    /// <summary>Whether whoever changes its tools has the right to: a changed definition needs no approval then.</summary>
    public virtual bool IsTrusted => false;

    /// <summary>Told when its tools may have changed.</summary>
    public event Action? Changed;

    /// <summary>The tools of a tenant, from memory: called for every look-up.</summary>
    public abstract IReadOnlyList<ToolDefinition> List(string tenant);

    /// <summary>Says that its tools may have changed.</summary>
    protected void OnChanged() => Changed?.Invoke();
}
