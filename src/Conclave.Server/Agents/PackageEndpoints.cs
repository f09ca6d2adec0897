using System.Text.Json;
using Conclave.Agents.Packages;
using Conclave.Agents.Tools;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Expressions.Scripting;

namespace Conclave.Server.Agents;

/// <summary>Packages that agents are made from.</summary>
internal static class PackageEndpoints
{
    private const string Uploads = "A zip with the files of the package, or agent.yaml alone; also a package of AIOS (config.json and entry.py) or of hAIrem (manifest.yaml and persona.yaml).";

    public static void Map(RouteGroupBuilder packages)
    {
        var group = packages.WithTags("Agent packages");
        group.MapGet("/", ListAsync).RequirePermission(Permissions.ReadAgents)
            .Describe("ListAgentPackages", "List the packages, how they stand, and why some may not run", o => o
                .Query("state", "Only those that are so: accepted, rejected, disabled or removed; all but the removed ones without it.").Answers<PageShape<PackageShape>>());
        group.MapPost("/", UploadAsync).RequirePermission(Permissions.WriteAgents)
            .Describe("UploadAgentPackage", "Add a package, or replace one", o => o
                .TakesFiles("application/zip", "application/yaml").Answers<PackageShape>(200, "It was replaced.").Answers<PackageShape>(201, "It was added.").Refuses(409, 422)
                .Note(Uploads + " What the gatekeeper refuses changes nothing. Workflows with C# need `exec:csharp-expressions`, too."));
        group.MapPost("/validate", ValidateAsync).RequirePermission(Permissions.WriteAgents)
            .Describe("ValidateAgentPackage", "Have the gatekeeper look at a package, and store nothing", o => o
                .TakesFiles("application/zip", "application/yaml").Answers<PackageCheckShape>().Note(Uploads));
        group.MapGet("/schema", context =>
        {
            context.Response.ContentType = "application/json; charset=utf-8";
            return context.Response.Body.WriteAsync(ManifestCheck.SchemaJson, context.RequestAborted).AsTask();
        }).RequirePermission(Permissions.ReadAgents)
            .Describe("GetAgentPackageSchema", "Get the JSON Schema of agent.yaml", o => o.Answers<JsonElement>());
        group.MapGet("/{name}", (HttpContext context, string name) => WriteAsync(context, Find(context, name))).RequirePermission(Permissions.ReadAgents)
            .Describe("GetAgentPackage", "See a package with its manifest", o => o.Answers<PackageShape>().Refuses(404));
        group.MapDelete("/{name}", DeleteAsync).RequirePermission(Permissions.WriteAgents)
            .Describe("DeleteAgentPackage", "Take away a package that was uploaded; its agents take no messages then", o => o.Answers(204).Refuses(404, 409));
        group.MapPost("/{name}/enable", (HttpContext context, string name) => SetEnabledAsync(context, name, true)).RequirePermission(Permissions.WriteAgents)
            .Describe("EnableAgentPackage", "Turn a package on", o => o.Answers<PackageShape>().Refuses(404));
        group.MapPost("/{name}/disable", (HttpContext context, string name) => SetEnabledAsync(context, name, false)).RequirePermission(Permissions.WriteAgents)
            .Describe("DisableAgentPackage", "Turn a package off; its agents take no messages then", o => o.Answers<PackageShape>().Refuses(404));
        group.MapGet("/{name}/files", FilesAsync).RequirePermission(Permissions.ReadAgents)
            .Describe("ListAgentPackageFiles", "List the files of a package", o => o.Answers<PageShape<PackageFileShape>>().Refuses(404));
        group.MapGet("/{name}/files/content", FileAsync).RequirePermission(Permissions.ReadAgents)
            .Describe("GetAgentPackageFile", "Get a file of a package", o => o.Required("path", "Its path, such as assets/avatar.svg.").AnswersFile("*/*").Refuses(404));
    }

    internal static PackageRole Packages(this HttpContext context) => context.RequestServices.GetRequiredService<PackageRole>();

    private static AgentPackage Find(HttpContext context, string name) => context.Packages().Packages.Find(context.Tenant(), name)
        ?? throw new ApiException(404, "agent_package.not_found", $"There is no package '{name}'. GET /api/agent-packages lists them.");

    private static Task ListAsync(HttpContext context)
    {
        var state = context.Query("state") is { } text
            ? Enum.TryParse<PackageState>(text, ignoreCase: true, out var known) && Enum.IsDefined(known) && !char.IsAsciiDigit(text[0]) ? known
            : throw ApiException.Bad($"'state' must be accepted, rejected, disabled or removed; it is '{text}'.")
            : (PackageState?)null;
        var packages = context.Packages().Packages.List(context.Tenant()).Where(p => state is null ? p.State != PackageState.Removed : p.State == state).ToList();
        return context.WritePageAsync(packages, null, (writer, package) => JsonSerializer.Serialize(writer, PackageShape.Of(package, Warnings(context, package)), PackageApiJson.Default.PackageShape));
    }

    private static Task WriteAsync(HttpContext context, AgentPackage package, int status = 200, ImportReport? import = null) => context.WriteJsonAsync(
        writer => JsonSerializer.Serialize(writer, PackageShape.Of(package, Warnings(context, package), withManifest: true, import), PackageApiJson.Default.PackageShape), status);

    private static IReadOnlyList<PackageProblem> Warnings(HttpContext context, AgentPackage package) =>
        package.Current is { } current ? Warnings(context, current.Manifest, current.Behaviours) : [];

    private static IReadOnlyList<PackageProblem> Warnings(HttpContext context, AgentManifest manifest, IReadOnlyCollection<string> behaviours) =>
        context.Packages().Known(context.Tenant(), name => context.RequestServices.GetRequiredService<ToolRegistry>().Find(context.Tenant(), name) is not null).Missing(manifest, behaviours);

    private static async Task ValidateAsync(HttpContext context)
    {
        var upload = await ReadAsync(context);
        var report = await CheckAsync(context, upload);
        IReadOnlyList<PackageProblem> warnings = report.Manifest is { } manifest ? Warnings(context, manifest, report.Content.BehaviourNames) : [];
        await context.WriteJsonAsync(writer => JsonSerializer.Serialize(writer, PackageCheckShape.Of(report, warnings, upload.Import), PackageApiJson.Default.PackageCheckShape));
    }

    private static async Task UploadAsync(HttpContext context)
    {
        var upload = await ReadAsync(context);
        var report = await CheckAsync(context, upload);
        if (report is not { IsAccepted: true, Manifest: { } manifest })
            throw Refused(report);
        var role = context.Packages();
        var known = role.Packages.Find(context.Tenant(), manifest.Name);
        if (known is { Source: PackageSource.Folder, RemovedAt: null })
            throw new ApiException(409, "agent_package.in_folder", $"The package '{manifest.Name}' comes from the folder of packages. Change it there, or give this one another name.");
        CodeRights.Demand(context, PackageBehaviours.Read(report.Content, manifest));
        if (PackageBehaviours.Read(report.Content, manifest).Count > 0)
            context.Demand(Permissions.PublishDefinitions);
        var installed = await role.Install.InstallAsync(context.Tenant(), manifest.Name, report, PackageSource.Upload, context.Actor(), context.RequestAborted);
        context.Response.Headers.Location = $"/api/agent-packages/{manifest.Name}";
        await WriteAsync(context, installed, known is null or { State: PackageState.Removed } ? 201 : 200, upload.Import);
    }

    private static ApiException Refused(GatekeeperReport report) => new(422, "agent_package.refused",
        "The gatekeeper refuses the package, and nothing was changed. " + string.Join(" ", report.Problems.Take(20)) + " POST /api/agent-packages/validate answers with all of it as JSON.");

    private static async Task<GatekeeperReport> CheckAsync(HttpContext context, UploadedPackage upload)
    {
        try
        {
            return await context.Packages().Install.CheckAsync(context.Tenant(), upload.Content, context.RequestAborted);
        }
        catch (ScriptException exception)
        {
            throw new ApiException(503, exception.Code, $"The package cannot be checked right now: {exception.Message}") { RetryAfter = "5" };
        }
    }

    private static async Task<UploadedPackage> ReadAsync(HttpContext context)
    {
        if (!context.Request.HasFormContentType)
            return PackageUpload.Read(await context.ReadBodyAsync());
        IFormCollection form;
        try
        {
            form = await context.Request.ReadFormAsync(context.RequestAborted);
        }
        catch (Exception exception) when (exception is InvalidDataException or (IOException and not BadHttpRequestException))
        {
            throw new ApiException(400, "request.malformed", $"The form cannot be read: {exception.Message}");
        }

        if (form.Files.Count != 1)
            throw ApiException.Bad($"The form holds {form.Files.Count} files. Send one: a zip, or agent.yaml.");
        using var bytes = new MemoryStream();
        await form.Files[0].CopyToAsync(bytes, context.RequestAborted);
        return PackageUpload.Read(bytes.ToArray());
    }

    private static async Task DeleteAsync(HttpContext context, string name)
    {
        var package = Find(context, name);
        if (package is { Source: PackageSource.Folder, RemovedAt: null })
            throw new ApiException(409, "agent_package.in_folder", $"The package '{name}' comes from the folder of packages. Remove it there, or turn it off.");
        if (await context.Packages().Packages.RemoveAsync(context.Tenant(), name, context.Actor(), context.RequestAborted) is null)
            throw new ApiException(404, "agent_package.not_found", $"The package '{name}' is gone already.");
        context.Response.StatusCode = 204;
    }

    private static async Task SetEnabledAsync(HttpContext context, string name, bool isEnabled)
    {
        var package = Find(context, name);
        var packages = context.Packages().Packages;
        var changed = isEnabled
            ? await packages.EnableAsync(context.Tenant(), name, context.Actor(), context.RequestAborted)
            : await packages.DisableAsync(context.Tenant(), name, context.Actor(), context.RequestAborted);
        await WriteAsync(context, changed ?? package);
    }

    private static async Task FilesAsync(HttpContext context, string name)
    {
        IReadOnlyList<PackageFileEntry> files = Find(context, name).Current is { } current
            ? await context.Packages().Packages.ListFilesAsync(context.Tenant(), current.Hash, context.RequestAborted) : [];
        await context.WritePageAsync(files, null, (writer, file) => JsonSerializer.Serialize(writer, new PackageFileShape(file.Path, file.Length, file.Sha256), PackageApiJson.Default.PackageFileShape));
    }

    private static async Task FileAsync(HttpContext context, string name)
    {
        var path = context.Query("path") ?? throw ApiException.Bad("'path' must name a file.");
        var file = Find(context, name).Current is { } current ? await context.Packages().Packages.ReadFileAsync(context.Tenant(), current.Hash, path, context.RequestAborted) : null;
        if (file is null)
            throw new ApiException(404, "agent_package.file_not_found", $"The package '{name}' has no file '{path}'. GET /api/agent-packages/{name}/files lists them.");
        var headers = context.Response.Headers;
        headers.ETag = $"\"{file.Sha256}\"";
        headers.XContentTypeOptions = "nosniff";
        // Files of others: whatever is in them, a browser runs none of it.
        headers.ContentSecurityPolicy = "default-src 'none'; style-src 'unsafe-inline'; sandbox";
        context.Response.ContentType = path.StartsWith(PackageContent.Assets, StringComparison.Ordinal) && AssetTypes.Find(path) is { } type ? type.MediaType
            : path.EndsWith(".json", StringComparison.Ordinal) ? "application/json" : "text/plain; charset=utf-8";
        context.Response.ContentLength = file.Content.Length;
        await context.Response.Body.WriteAsync(file.Content, context.RequestAborted);
    }
}
