namespace Conclave.Server.OpenApi;

/// <summary>What an endpoint takes and answers. Endpoints read and write JSON by hand, so it has to be said; tests hold answers against it.</summary>
/// <remarks>
/// Rights, parameters of the path and the refusals that all endpoints of an API have in common need not be said: they come from the endpoint itself.
/// An endpoint that is mapped and not described fails a test.
/// </remarks>
internal sealed class ApiOperation
{
    /// <summary>Values of the query and headers that it reads.</summary>
    public List<ApiParameter> Parameters { get; } = [];

    /// <summary>What it may answer, but for what every endpoint of its API may.</summary>
    public List<ApiAnswer> Results { get; } = [];

    /// <summary>Shape of its body; null for none.</summary>
    public Type? Body { get; private set; }

    /// <summary>Whether it works without a body.</summary>
    public bool IsBodyOptional { get; private set; }

    /// <summary>Media types of its body.</summary>
    public IReadOnlyList<string> BodyTypes { get; private set; } = ["application/json"];

    /// <summary>Whether it takes files in a form.</summary>
    public bool TakesForm { get; private set; }

    /// <summary>Whether a workflow may answer in its own way, with any status.</summary>
    public bool IsAnsweredByWorkflows { get; private set; }

    /// <summary>Statuses of refusals, but for those that every endpoint of its API may answer with.</summary>
    public List<int> Refusals { get; } = [];

    /// <summary>More that people have to know; null for nothing.</summary>
    public string? Notes { get; private set; }

    public ApiOperation Query(string name, string description) => Query<string>(name, description);

    public ApiOperation Query<T>(string name, string description) => Add(new ApiParameter(name, description, typeof(T), IsHeader: false, IsRequired: false));

    public ApiOperation Required(string name, string description) => Add(new ApiParameter(name, description, typeof(string), IsHeader: false, IsRequired: true));

    public ApiOperation Header(string name, string description) => Add(new ApiParameter(name, description, typeof(string), IsHeader: true, IsRequired: false));

    /// <summary>Lists in pages of our own API.</summary>
    public ApiOperation Pages() => Query("cursor", "What next said; nothing for the first page.").Query<int>("limit", "Most items, 1 to 500; 50 without it.");

    /// <summary>Lists in pages of Elsa's API.</summary>
    public ApiOperation ElsaPages() => Query<int>("page", "From 0; everything without page and pageSize.").Query<int>("pageSize", "Most items.");

    /// <summary>Takes JSON.</summary>
    public ApiOperation Takes<T>(bool isOptional = false)
    {
        (Body, IsBodyOptional) = (typeof(T), isOptional);
        return this;
    }

    /// <summary>Takes files as a form with the field <c>files</c>, and as they are if <paramref name="orAs"/> names media types.</summary>
    public ApiOperation TakesFiles(params string[] orAs)
    {
        (TakesForm, BodyTypes) = (true, orAs);
        return this;
    }

    /// <summary>Answers with JSON.</summary>
    public ApiOperation Answers<T>(int status = StatusCodes.Status200OK, string? description = null)
    {
        Results.Add(new ApiAnswer(status, typeof(T), "application/json", description));
        return this;
    }

    /// <summary>Answers without a body.</summary>
    public ApiOperation Answers(int status, string? description = null)
    {
        Results.Add(new ApiAnswer(status, null, null, description));
        return this;
    }

    /// <summary>Answers with a file or a text that is no JSON.</summary>
    public ApiOperation AnswersFile(string mediaType, string? description = null)
    {
        Results.Add(new ApiAnswer(StatusCodes.Status200OK, null, mediaType, description));
        return this;
    }

    /// <summary>The workflow that runs may answer in its own way.</summary>
    public ApiOperation OrWhatTheWorkflowAnswers()
    {
        IsAnsweredByWorkflows = true;
        return this;
    }

    public ApiOperation Refuses(params int[] statuses)
    {
        Refusals.AddRange(statuses);
        return this;
    }

    public ApiOperation Note(string text)
    {
        Notes = text;
        return this;
    }

    private ApiOperation Add(ApiParameter parameter)
    {
        Parameters.Add(parameter);
        return this;
    }
}

/// <summary>A value of the query, or a header.</summary>
internal sealed record ApiParameter(string Name, string Description, Type Type, bool IsHeader, bool IsRequired);

/// <summary>One thing that an endpoint may answer; JSON has a shape, a file only a media type.</summary>
internal sealed record ApiAnswer(int Status, Type? Shape, string? MediaType, string? Description);

/// <summary>Describes an endpoint. The description is made when somebody asks for the document, not when the server starts.</summary>
/// <param name="Name">Its name, which no other has.</param>
/// <param name="Summary">What it does, in a few words.</param>
/// <param name="Describe">Says what it takes and answers.</param>
internal sealed record ApiDescriptor(string Name, string Summary, Action<ApiOperation>? Describe);

internal static class ApiDescriptorExtensions
{
    /// <summary>Puts an endpoint into the OpenAPI document.</summary>
    public static TBuilder Describe<TBuilder>(this TBuilder endpoint, string name, string summary, Action<ApiOperation>? describe = null)
        where TBuilder : IEndpointConventionBuilder => endpoint.WithMetadata(new ApiDescriptor(name, summary, describe));
}
