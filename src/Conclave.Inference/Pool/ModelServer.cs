namespace Conclave.Inference;

/// <summary>A model server as operators configure it.</summary>
public sealed record ModelServer
{
    /// <summary>Its id.</summary>
    public required string Id { get; init; }

    /// <summary>Its name, unique, shown to callers: letters, digits, <c>-</c>, <c>_</c>, <c>.</c>; at most 63.</summary>
    public required string Name { get; init; }

    /// <summary>Name of its <see cref="Providers.IModelProvider"/>: <c>ollama</c>, <c>openai</c>, <c>openai-compatible</c>, <c>vllm</c>, <c>groq</c>, <c>gemini</c>, <c>huggingface</c>, <c>anthropic</c>, <c>scripted</c>.</summary>
    public required string Provider { get; init; }

    /// <summary>Its base address, without <c>/v1</c> or <c>/api</c>; for <c>scripted</c> the path of a file as <c>file:</c>.</summary>
    public required Uri Address { get; init; }

    /// <summary>The tenant that alone may use it; null for all.</summary>
    public string? Tenant { get; init; }

    /// <summary>Generations that it does at a time.</summary>
    /// <value>1 to 10,000; default 4.</value>
    public int Slots { get; init; } = 4;

    /// <summary>Whether what is sent there stays in the house.</summary>
    public bool IsLocal { get; init; } = true;

    /// <summary>Tags that calls may require, such as <c>gpu-a100</c> or <c>eu</c>.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>Its place in its house: the higher, the later it is chosen among equals.</summary>
    public int Rank { get; init; }

    /// <summary>What operators want of it.</summary>
    public ServerMode Mode { get; init; }

    /// <summary>What operators say about its models, beyond or against what the server itself says: capabilities, context, prices.</summary>
    public IReadOnlyList<ServedModel> Models { get; init; } = [];

    /// <summary>Longest silence between two tokens, and before the first one.</summary>
    /// <value>1 second to 1 hour; default 2 minutes.</value>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromMinutes(2);
}

/// <summary>What operators want of a server. Numbers are stored and never change.</summary>
public enum ServerMode : short
{
    /// <summary>Takes calls.</summary>
    Active = 0,

    /// <summary>Finishes what it has and takes no more.</summary>
    Draining = 1,

    /// <summary>Takes nothing and is not asked about its health.</summary>
    Maintenance = 2,
}

/// <summary>A model on a server.</summary>
public sealed record ServedModel
{
    /// <summary>Its name on the server, such as <c>llama3.2:3b</c>.</summary>
    public required string Name { get; init; }

    /// <summary>What it can do; null where that is not known.</summary>
    public ModelCapabilities? Capabilities { get; init; }

    /// <summary>Tokens that a conversation may have, answer included; null where that is not known.</summary>
    public int? ContextSize { get; init; }

    /// <summary>Whether it is in memory now; null where the server does not say.</summary>
    public bool? IsLoaded { get; init; }

    /// <summary>Price of a million tokens read; null for free.</summary>
    public decimal? InputPrice { get; init; }

    /// <summary>Price of a million tokens written; null for free.</summary>
    public decimal? OutputPrice { get; init; }

    /// <summary>Size in bytes; null where that is not known.</summary>
    public long? SizeBytes { get; init; }

    /// <summary>Its digest; null where that is not known.</summary>
    public string? Digest { get; init; }

    /// <summary>Such as <c>7B</c>; null where that is not known.</summary>
    public string? ParameterSize { get; init; }

    /// <summary>Such as <c>Q4_K_M</c>; null where that is not known.</summary>
    public string? Quantization { get; init; }

    /// <summary>Such as <c>llama</c>; null where that is not known.</summary>
    public string? Family { get; init; }

    /// <summary>When it came to the server or was changed; null where that is not known.</summary>
    public DateTimeOffset? ModifiedAt { get; init; }
}

/// <summary>What a model can do. Numbers are stored and never change.</summary>
[Flags]
public enum ModelCapabilities
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>Answers conversations.</summary>
    Chat = 1,

    /// <summary>Calls tools.</summary>
    Tools = 2,

    /// <summary>Sees pictures.</summary>
    Vision = 4,

    /// <summary>Writes JSON that fits a schema, by constrained decoding.</summary>
    JsonSchema = 8,

    /// <summary>Embeds texts.</summary>
    Embeddings = 16,

    /// <summary>Thinks before it answers, when asked.</summary>
    Thinking = 32,

    /// <summary>Continues a text that it or another model began, so that calls can be moved.</summary>
    Continue = 64,
}
