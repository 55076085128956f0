"""Everything under /v1 that only reads, the health check and the API's documentation."""

from guilder.api.functions import TEXT_MIME_TYPES, read_app
from guilder.config import Settings
from guilder.runtime import Runtime
from mangum import Mangum

# "off": with "auto" Mangum would run start-up and shutdown at every call. What start-up would do, the runtime does at first use.
app = read_app(Runtime(Settings.from_environment()))
handler = Mangum(app, lifespan="off", text_mime_types=TEXT_MIME_TYPES)
