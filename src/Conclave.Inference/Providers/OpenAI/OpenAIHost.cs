namespace Conclave.Inference.Providers.OpenAI;

/// <summary>Who answers OpenAI's API, and how it differs from the others.</summary>
/// <param name="Name">The provider's name.</param>
/// <param name="Dialect">What it understands.</param>
/// <param name="Path">What comes between a server's address and the API's paths.</param>
public sealed record OpenAIHost(string Name, OpenAIDialect Dialect, string Path = "v1/")
{
    /// <summary>Any server of one's own, or a gateway.</summary>
    public static OpenAIHost Compatible { get; } = new("openai-compatible", OpenAIDialect.Compatible);

    /// <summary>vLLM, of which more is known than of any server.</summary>
    public static OpenAIHost Vllm { get; } = new("vllm", OpenAIDialect.Compatible);

    /// <summary>OpenAI.</summary>
    public static OpenAIHost OpenAI { get; } = new("openai", OpenAIDialect.OpenAI);

    /// <summary>Groq, at <c>https://api.groq.com/openai</c>.</summary>
    public static OpenAIHost Groq { get; } = new("groq", OpenAIDialect.Cloud);

    /// <summary>Google's Gemini, through its API in OpenAI's shape at <c>https://generativelanguage.googleapis.com/v1beta/openai</c>, which has no version behind it.</summary>
    public static OpenAIHost Gemini { get; } = new("gemini", OpenAIDialect.Cloud, "");

    /// <summary>Hugging Face's router at <c>https://router.huggingface.co</c>, which goes to the inference providers behind it.</summary>
    public static OpenAIHost HuggingFace { get; } = new("huggingface", OpenAIDialect.Cloud);

    /// <summary>All of them.</summary>
    public static IReadOnlyList<OpenAIHost> All { get; } = [Compatible, Vllm, OpenAI, Groq, Gemini, HuggingFace];
}

/// <summary>What a server of OpenAI's API understands.</summary>
public enum OpenAIDialect
{
    /// <summary>What servers of one's own take: everything is passed on.</summary>
    Compatible,

    /// <summary>OpenAI: its own names and its strict schemas, and nothing that only servers of one's own have.</summary>
    OpenAI,

    /// <summary>Another cloud: OpenAI's first names, schemas as they are, and nothing that only servers of one's own have.</summary>
    Cloud,
}
