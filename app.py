"""The Lunaris hub: every family's demo as a tab, REST and MCP beside it. Run it: python app.py"""

from lunaris.core.serving import serve

if __name__ == "__main__":
    serve()
