namespace Conclave.Workflows.Expressions;

/// <summary>How designers offer an expression syntax.</summary>
/// <param name="Type">Name as in definitions, for example <c>JavaScript</c>.</param>
public sealed record ExpressionDescriptor(string Type)
{
    /// <summary>Name shown to authors; default that of the syntax.</summary>
    public string DisplayName { get; init; } = Type;

    /// <summary>Whether the menu of syntaxes shows it; default true. Others are written by the editors of inputs.</summary>
    public bool IsBrowsable { get; init; } = true;

    /// <summary>Language of the code editor; null for a plain one.</summary>
    public string? MonacoLanguage { get; init; }

    /// <summary>Right that an author needs to use it; null for none.</summary>
    public string? Permission { get; init; }

    /// <summary>Place in the menu: low ones first, and by name among equals.</summary>
    public int Order { get; init; }
}
