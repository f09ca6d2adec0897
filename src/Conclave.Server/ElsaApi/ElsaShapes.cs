namespace Conclave.Server.ElsaApi;

/// <summary>A refusal, as Studio shows it.</summary>
/// <param name="StatusCode">400.</param>
/// <param name="Message">One or more errors occurred!</param>
/// <param name="Errors">Texts by the field that they are about; generalErrors for the request as a whole.</param>
internal sealed record RefusalShape(int StatusCode, string Message, IReadOnlyDictionary<string, IReadOnlyList<string>> Errors);

/// <summary>A page of a list.</summary>
/// <param name="Items">The items of the page.</param>
/// <param name="TotalCount">How many there are on all pages.</param>
internal sealed record PageShape<T>(IReadOnlyList<T> Items, long TotalCount);

/// <summary>A whole list.</summary>
internal sealed record ListShape<T>(IReadOnlyList<T> Items, long Count);

/// <summary>How many there are.</summary>
internal sealed record CountShape(long Count);

/// <summary>Nothing.</summary>
internal sealed record NothingShape;
