using System.ComponentModel.DataAnnotations;

namespace Conclave.Server.Webhooks;

/// <summary>What the server takes in for HTTP endpoints of workflows. Bound from <c>Webhooks</c>.</summary>
public sealed class WebhookOptions
{
    public const string Section = "Webhooks";

    /// <summary>Path below which endpoints listen.</summary>
    /// <value>Begins with a slash; default <c>/workflows</c>.</value>
    [Required]
    [RegularExpression("/.*[^/]")]
    public string BasePath { get; set; } = "/workflows";

    /// <summary>Largest body in bytes, whatever an endpoint allows. Bodies are held in memory.</summary>
    /// <value>1 KiB to 1 GiB; default 10 MiB.</value>
    [Range(1024, 1 << 30)]
    public int MaxRequestBytes { get; set; } = 10 << 20;

    /// <summary>Most fields and files of a form.</summary>
    /// <value>1 to 100,000; default 1,000.</value>
    [Range(1, 100_000)]
    public int MaxParts { get; set; } = 1000;

    /// <summary>Largest headers of one part of a form, in bytes.</summary>
    /// <value>256 to 1 MiB; default 16 KiB.</value>
    [Range(256, 1 << 20)]
    public int MaxPartHeaderBytes { get; set; } = 16 << 10;
}
