namespace Conclave.Server.ElsaApi;

/// <summary>Lets pages of other origins call Elsa's API: people who point their own Studio at this server.</summary>
/// <remarks>They sign in with a key or a token in a header. Cookies do not count for them, so that no page acts for whoever visits it.</remarks>
internal static class CrossOrigin
{
    /// <summary>Headers of answers that Studio reads.</summary>
    private static readonly string[] Exposed =
        ["x-elsa-workflow-instance-id", "x-elsa-workflow-cannot-start", "x-elsa-response", "Content-Disposition"];

    /// <summary>Answers preflight requests, and tells browsers which origins may read answers. Comes before sign-in.</summary>
    public static void UseElsaCrossOrigin(this WebApplication app, ServerOptions options)
    {
        if (options.CorsOrigins.Count == 0)
            return;
        app.UseWhen(context => context.Request.Path.StartsWithSegments("/elsa", StringComparison.OrdinalIgnoreCase), elsa => elsa.UseCors(policy =>
        {
            if (options.CorsOrigins.Contains("*"))
                policy.AllowAnyOrigin();
            else
                policy.WithOrigins([.. options.CorsOrigins]);
            policy.AllowAnyHeader().WithMethods("GET", "POST", "PUT", "DELETE").WithExposedHeaders(Exposed).SetPreflightMaxAge(TimeSpan.FromHours(1));
        }));
    }
}
