namespace Conclave.Server.Health;

/// <summary>How far start-up has come. Whoever starts the server moves it on; health answers read it.</summary>
public sealed class StartupState
{
    private volatile string _step = "starting";
    private volatile bool _isFinished;

    /// <summary>What start-up is doing, in a word or two that anyone may read.</summary>
    public string Step => _step;

    /// <summary>Whether the server can work.</summary>
    public bool IsFinished => _isFinished;

    /// <summary>Names the next step, such as <c>database</c>.</summary>
    public void Begin(string step) => _step = step;

    /// <summary>Start-up is done.</summary>
    public void Finish() => (_step, _isFinished) = ("done", true);
}
