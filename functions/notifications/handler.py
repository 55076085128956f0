"""What card processors report, under a function of its own: their bursts take no capacity from partners' requests."""

from guilder.api.functions import TEXT_MIME_TYPES, notifications_app
from guilder.config import Settings
from guilder.runtime import Runtime
from mangum import Mangum

# "off": with "auto" Mangum would run start-up and shutdown at every call. What start-up would do, the runtime does at first use.
app = notifications_app(Runtime(Settings.from_environment()))
handler = Mangum(app, lifespan="off", text_mime_types=TEXT_MIME_TYPES)
