namespace Conclave.Workflows.Runtime;

/// <summary>Where programs of Conclave keep what outlives them, unless a setting says otherwise.</summary>
public static class DataFolder
{
    /// <summary>
    /// <c>conclave</c> in the user's local application data, or <c>/var/lib/conclave</c> for a program that runs as root;
    /// null for an account without a home.
    /// </summary>
    public static string? Default()
    {
        if (!OperatingSystem.IsWindows() && Environment.IsPrivilegedProcess)
            return "/var/lib/conclave";
        var local = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
        return local.Length > 0 ? Path.Combine(local, "conclave") : null;
    }
}
